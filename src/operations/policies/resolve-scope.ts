import type { PrincipalFields, PrincipalScope, ResourceFields, ResourceScope } from "../../domain/policy.ts";
import { AppError } from "../../lib/errors.ts";
import type { Repositories } from "../../store/ports.ts";
import type { PrincipalsInput, ResourcesInput } from "./policy-fields.ts";

/** How names become ids. A group that does not exist yet comes into being, or is imagined where nothing may be written. */
export interface Resolver {
  readonly repositories: Repositories;
  groups(refs: readonly string[]): Promise<readonly string[]>;
}

/** Whom a policy is about, with ids for names. Throws `not_found` naming a ref that names nothing. */
export async function resolvePrincipals(input: PrincipalsInput, resolver: Resolver): Promise<PrincipalScope> {
  const { except, ...fields } = input;
  const selected = await resolvePrincipalFields(fields, resolver);
  return except === undefined ? selected : { ...selected, except: await resolvePrincipalFields(except, resolver) };
}

async function resolvePrincipalFields(
  { agents, groups, members, ...words }: Omit<PrincipalsInput, "except">,
  resolver: Resolver,
): Promise<PrincipalFields> {
  const { repositories } = resolver;
  return {
    ...words,
    ...(agents === undefined ? {} : { agents: await resolveEach(agents, (ref) => repositories.agents.get(ref)) }),
    ...(groups === undefined ? {} : { groups: await resolver.groups(groups) }),
    ...(members === undefined ? {} : { members: await resolveEach(members, (ref) => repositories.members.get(ref)) }),
  };
}

/** What a policy is about, with ids for names. Throws `not_found` naming a ref that names nothing. */
export async function resolveResources(input: ResourcesInput, resolver: Resolver): Promise<ResourceScope> {
  const { except, ...fields } = input;
  const selected = await resolveResourceFields(fields, resolver);
  return except === undefined ? selected : { ...selected, except: await resolveResourceFields(except, resolver) };
}

async function resolveResourceFields(
  { servers, groups, tools, skills, ...words }: Omit<ResourcesInput, "except">,
  resolver: Resolver,
): Promise<ResourceFields> {
  const { repositories } = resolver;
  return {
    ...words,
    ...(servers === undefined ? {} : { servers: await resolveEach(servers, (ref) => repositories.servers.get(ref)) }),
    ...(groups === undefined ? {} : { groups: await resolver.groups(groups) }),
    ...(skills === undefined ? {} : { skills: await resolveEach(skills, (ref) => repositories.skills.get(ref)) }),
    ...(tools === undefined ? {} : { tools: await Promise.all(tools.map((tool) => resolveTool(tool, repositories))) }),
  };
}

/** `github/list_*` with the server's id; the server's part is a glob only as a whole (`*`). */
async function resolveTool(tool: string, { servers }: Repositories): Promise<string> {
  const slash = tool.indexOf("/");
  if (slash < 0 || tool.startsWith("trait:")) return tool;
  const ref = tool.slice(0, slash);
  if (ref === "*") return tool;
  if (ref === "" || ref.includes("*")) {
    throw new AppError("invalid_input", `tool \`${tool}\`: name one server before \`/\`, or \`*\` for all`, {
      details: { field: "resources.tools" },
    });
  }
  return `${(await servers.get(ref)).id}${tool.slice(slash)}`;
}

async function resolveEach(
  refs: readonly string[],
  get: (ref: string) => Promise<{ readonly id: string }>,
): Promise<readonly string[]> {
  const ids = new Set<string>();
  for (const ref of refs) ids.add((await get(ref)).id);
  return [...ids];
}
