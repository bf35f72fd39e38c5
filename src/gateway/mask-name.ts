import { createLruCache } from "../lib/lru-cache.ts";

/** No known form of a secret is shorter; most names are, and cost nothing then. */
const SHORT_CHARACTERS = 16;
const REMEMBERED_MAX = 1_024;
const REMEMBERED_CHARACTERS_MAX = 256;
/** More than an event keeps of a name, so that a secret is never recognized only by its first half. */
const READ_CHARACTERS_MAX = 2_048;

/**
 * Hides secrets in what callers choose freely and the log names: tools, resources, prompts, methods, user agents. Agents repeat
 * themselves, so each name is looked through once.
 */
export function createNameMask(maskSecrets: (value: unknown) => unknown): (name: string) => string {
  const remembered = createLruCache<string>(REMEMBERED_MAX);
  return (name) => {
    if (name.length <= SHORT_CHARACTERS) return name;
    const known = remembered.get(name);
    if (known !== undefined) return known;
    const masked = maskSecrets(name.slice(0, READ_CHARACTERS_MAX));
    const text = typeof masked === "string" ? masked : "";
    if (name.length <= REMEMBERED_CHARACTERS_MAX) remembered.set(name, text);
    return text;
  };
}
