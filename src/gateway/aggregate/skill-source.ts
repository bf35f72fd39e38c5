import type { Resource, ServerContext } from "@modelcontextprotocol/server";
import {
  type Skill as SkillEntry,
  skillEntry,
  type SkillReadResult,
  type SkillSource,
} from "@modelcontextprotocol/server/ext/skills";
import type { SkillVersion } from "../../domain/skill.ts";
import { refusable, type ServerParts } from "./aggregate-server.ts";
import type { Connection } from "./connections.ts";
import { fitting, type Handling } from "./made-answer.ts";
import type { SkillRunner } from "./ports.ts";
import { recordReading, refuseSkill, skillsOf } from "./read-skill.ts";
import type { ServingSkill } from "./skill-decision.ts";

const BASE = "skill://";
const DOCUMENT = "SKILL.md";

/** Digests of a version are computed once: it never changes. */
const entries = new WeakMap<SkillVersion, SkillEntry>();

/** The agent's skills for the MCP Skills extension (`skill://<name>/SKILL.md`), as they are at each request. */
export function createSkillSource(parts: ServerParts, connection: Connection): SkillSource {
  const { context } = parts;
  const entryOf = async (view: ServingSkill): Promise<SkillEntry> => {
    const known = entries.get(view.serving) ?? (await readEntry(view, parts));
    entries.set(view.serving, known);
    return known;
  };
  const find = (uri: string): { view: ServingSkill; path: string } | undefined => {
    if (!uri.startsWith(BASE)) return undefined;
    const [name = "", ...path] = uri.slice(BASE.length).split("/");
    const view = skillsOf(connection, context).find(({ skill }) => skill.name === name);
    return view === undefined ? undefined : { view, path: decodePath(path.join("/")) };
  };
  const handling = (request: ServerContext): Handling => ({ parts, connection, request });
  return {
    list: (_, request) =>
      refusable(async () => {
        const skills = await Promise.all(skillsOf(connection, context).map(entryOf));
        return fitting({ skills }, handling(request));
      }),
    get: (uri, request) =>
      refusable(async () => {
        const found = find(uri);
        return found?.path === DOCUMENT ? fitting(await entryOf(found.view), handling(request)) : undefined;
      }),
    read: (uri, request) =>
      refusable(async () => {
        const found = find(uri);
        const bytes = found === undefined ? undefined : (await filesOf(found.view, parts))[found.path];
        if (found === undefined || bytes === undefined)
          throw await refuseSkill("resource.read", uri, { connection, context });
        const reading = { event: "resource.read", ...found } as const;
        return recordReading(toRead(found.path, bytes), reading, { ...handling(request), bytes: bytes.length });
      }),
    listResources: (request) =>
      refusable(async () => fitting(skillsOf(connection, context).map(toResource), handling(request))),
  };
}

async function readEntry(view: ServingSkill, parts: ServerParts): Promise<SkillEntry> {
  return skillEntry(view.skill.name, await filesOf(view, parts));
}

function filesOf({ skill, serving }: ServingSkill, { skills }: ServerParts): ReturnType<SkillRunner["files"]> {
  return skills.files(skill.name, serving);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return path;
    throw error;
  }
}

function toResource({ skill, serving }: ServingSkill): Resource {
  return {
    uri: `${BASE}${skill.name}/${DOCUMENT}`,
    name: skill.name,
    description: serving.content.description,
    mimeType: "text/markdown",
  };
}

function toRead(path: string, bytes: Uint8Array): SkillReadResult {
  const text = decodeText(bytes);
  if (text === undefined) return { bytes };
  return { text, mimeType: path.endsWith(".md") ? "text/markdown" : "text/plain" };
}

/** Undefined for what is not exactly UTF-8: its digest is of the bytes. */
function decodeText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.includes("\0") ? undefined : text;
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
