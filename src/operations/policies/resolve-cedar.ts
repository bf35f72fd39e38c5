import { ROLES } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import { isUuid } from "../../lib/ids.ts";
import type { Resolver } from "./resolve-scope.ts";

/** Entity literals that name something here. Inside a string literal the quotes are escaped, so nothing else matches. */
const LITERAL =
  /\bRunlayer\s*::\s*(Agent|Member|Role|Server|Tool|Resource|Prompt|Skill|Group|ServerGroup)\s*::\s*"((?:[^"\\]|\\.)*)"/g;

/** What of a server's is named `<server>/<name>`. */
const ITEMS: ReadonlyMap<string, string> = new Map([
  ["Tool", "a tool is named `<server>/<tool>`"],
  ["Resource", "a resource is named `<server>/<uri>`"],
  ["Prompt", "a prompt is named `<server>/<prompt>`"],
]);

/**
 * The text with ids for the names of agents, members, servers, skills and groups. Throws `not_found` naming a ref that names
 * nothing: a rule about it would never match. Ids that stand in the former text may be gone, and stay.
 */
export async function resolveCedarNames(text: string, resolver: Resolver, formerText = ""): Promise<string> {
  const former = new Set(Array.from(formerText.matchAll(LITERAL), ([, type, ref]) => `${type} ${ref}`));
  const pieces: string[] = [];
  let from = 0;
  for (const match of text.matchAll(LITERAL)) {
    const [literal, type = "", ref = ""] = match;
    const isKept = former.has(`${type} ${ref}`) && isUuid(ref.split("/", 1)[0] ?? "");
    const id = isKept ? ref : await resolve(type, ref, resolver);
    pieces.push(text.slice(from, match.index), `Runlayer::${type}::"${id}"`);
    from = match.index + literal.length;
  }
  return pieces.join("") + text.slice(from);
}

async function resolve(type: string, ref: string, resolver: Resolver): Promise<string> {
  const form = ITEMS.get(type);
  if (form !== undefined) return resolveItem(ref, form, resolver);
  if (type === "Role") return requireRole(ref);
  const { agents, members, servers, skills } = resolver.repositories;
  if (type === "Agent") return (await agents.get(ref)).id;
  if (type === "Member") return (await members.get(ref)).id;
  if (type === "Server") return (await servers.get(ref)).id;
  if (type === "Skill") return (await skills.get(ref)).id;
  const [id] = await resolver.groups([ref]);
  return id ?? ref;
}

async function resolveItem(ref: string, form: string, { repositories }: Resolver): Promise<string> {
  const slash = ref.indexOf("/");
  if (slash <= 0) {
    throw new AppError("invalid_input", `\`cedar\`: ${form}, not \`${ref}\``, { details: { field: "cedar" } });
  }
  return `${(await repositories.servers.get(ref.slice(0, slash))).id}${ref.slice(slash)}`;
}

function requireRole(ref: string): string {
  if (ROLES.some((role) => role === ref)) return ref;
  throw new AppError("not_found", `role \`${ref}\` does not exist; roles are ${ROLES.join(", ")}`);
}
