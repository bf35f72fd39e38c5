import type { SkillContent, SkillFunctionContent, SkillServer } from "../../domain/skill.ts";
import { AppError } from "../../lib/errors.ts";
import type { SkillFile } from "../../skills/package/skill-files.ts";
import type { SkillPackage } from "../../skills/package/skill-package.ts";
import type { Repositories } from "../../store/ports.ts";
import type { SkillInput } from "./skill-fields.ts";

const EMPTY: SkillContent = { description: "", instructions: "", servers: [], files: [] };

/** The content that an input makes of the one before. Throws `not_found` for a server that is not registered. */
export async function toSkillContent(
  input: SkillInput,
  repositories: Repositories,
  before: SkillContent = EMPTY,
): Promise<SkillContent> {
  const servers = input.servers === undefined ? before.servers : await resolveServers(input.servers, repositories);
  return {
    description: input.description ?? before.description,
    instructions: input.instructions === null ? "" : (input.instructions ?? before.instructions),
    license: patched(input.license, before.license),
    compatibility: patched(input.compatibility, before.compatibility),
    metadata: patched(input.metadata, before.metadata),
    allowedTools: patched(input.allowedTools, before.allowedTools),
    function: toFunction(input, before.function),
    servers,
    tools: patched(input.tools, before.tools),
    files: input.files === undefined ? before.files : input.files.map(toStoredFile),
  };
}

/** The content as the package that is checked, scanned, digested and run. */
export function toPackage(name: string, content: SkillContent): SkillPackage {
  const { description, instructions, license, compatibility, metadata, allowedTools } = content;
  const document = { name, description, license, compatibility, metadata, allowedTools, instructions };
  const needs = { servers: content.servers.map((server) => server.name), tools: content.tools };
  const isInNeed = needs.servers.length > 0 || needs.tools !== undefined;
  return {
    document,
    files: content.files.map(toFile),
    function: content.function === undefined ? undefined : { ...content.function, ...needs },
    needs: content.function === undefined && isInNeed ? needs : undefined,
  };
}

function patched<T>(given: T | null | undefined, before: T | undefined): T | undefined {
  if (given === undefined) return before;
  return given ?? undefined;
}

function toFunction(input: SkillInput, before: SkillFunctionContent | undefined): SkillFunctionContent | undefined {
  const code = patched(input.code, before?.code);
  if (code !== undefined)
    return {
      code,
      inputSchema: patched(input.inputSchema, before?.inputSchema),
      outputSchema: patched(input.outputSchema, before?.outputSchema),
      timeoutMs: patched(input.timeoutMs, before?.timeoutMs),
    };
  const orphan = [input.inputSchema, input.outputSchema, input.timeoutMs].some(
    (value) => value !== undefined && value !== null,
  );
  if (!orphan) return undefined;
  throw new AppError(
    "invalid_input",
    "`inputSchema`, `outputSchema` and `timeoutMs` are of a function; give `code` too",
    {
      details: { field: "code" },
    },
  );
}

/** A ref by id is called by the server's name in code; by name, as given. */
async function resolveServers(refs: readonly string[], { servers }: Repositories): Promise<readonly SkillServer[]> {
  const byId = new Map<string, SkillServer>();
  for (const ref of refs) {
    const found = await servers.find(ref);
    if (found === undefined) {
      throw new AppError(
        "not_found",
        `the skill needs server \`${ref}\`, which is not registered; create it or drop it from \`servers\``,
        { details: { field: "servers", kind: "server", ref } },
      );
    }
    byId.set(found.id, { id: found.id, name: found.name });
  }
  return [...byId.values()];
}

function toStoredFile({
  path,
  text,
  base64,
}: {
  path: string;
  text?: string | undefined;
  base64?: string | undefined;
}) {
  return { path, base64: base64 ?? Buffer.from(text ?? "").toString("base64") };
}

function toFile({ path, base64 }: SkillContent["files"][number]): SkillFile {
  return { path, bytes: Buffer.from(base64, "base64") };
}
