import { createHash } from "node:crypto";

/** What clients accept as a tool's name at most. */
export const NAME_CHARACTERS_MAX = 64;
const HASH_CHARACTERS = 8;

/** Name of a server's tool behind the one connection: `<server>__<tool>`, shortened with a hash where clients would refuse it. */
export function toToolName(server: string, tool: string): string {
  return shorten(`${server}__${tool}`);
}

/** `skill` is a name that no server can have. */
export function toSkillToolName(skill: string): string {
  return shorten(`skill__${skill}`);
}

function shorten(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_CHARACTERS);
  return `${name.slice(0, NAME_CHARACTERS_MAX - HASH_CHARACTERS - 1)}_${hash}`;
}
