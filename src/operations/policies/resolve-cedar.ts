import { AppError } from "../../lib/errors.ts";
import { isUuid } from "../../lib/ids.ts";
import type { Resolver } from "./resolve-scope.ts";

/** Entity literals that may be written with a name. Inside a string literal the quotes are escaped, so nothing else matches. */
const LITERAL = /\bRunlayer\s*::\s*(Agent|Member|Server|Tool|Skill|Group|ServerGroup)\s*::\s*"((?:[^"\\]|\\.)*)"/g;

/** The text with ids for the names of agents, members, servers and groups. Throws `not_found` naming a ref that names nothing. */
export async function resolveCedarNames(text: string, resolver: Resolver): Promise<string> {
  const pieces: string[] = [];
  let from = 0;
  for (const match of text.matchAll(LITERAL)) {
    const [literal, type = "", ref = ""] = match;
    pieces.push(text.slice(from, match.index), `Runlayer::${type}::"${await resolve(type, ref, resolver)}"`);
    from = match.index + literal.length;
  }
  return pieces.join("") + text.slice(from);
}

async function resolve(type: string, ref: string, resolver: Resolver): Promise<string> {
  if (type === "Tool") return resolveTool(ref, resolver);
  if (isUuid(ref)) return ref.toLowerCase();
  const { agents, members, servers, skills } = resolver.repositories;
  if (type === "Agent") return (await agents.get(ref)).id;
  if (type === "Member") return (await members.get(ref)).id;
  if (type === "Server") return (await servers.get(ref)).id;
  if (type === "Skill") return (await skills.get(ref)).id;
  const [id] = await resolver.groups([ref]);
  return id ?? ref;
}

async function resolveTool(ref: string, { repositories }: Resolver): Promise<string> {
  const slash = ref.indexOf("/");
  if (slash <= 0) {
    throw new AppError("invalid_input", `\`cedar\`: a tool is named \`<server>/<tool>\`, not \`${ref}\``, {
      details: { field: "cedar" },
    });
  }
  const server = ref.slice(0, slash);
  return isUuid(server) ? ref : `${(await repositories.servers.get(server)).id}${ref.slice(slash)}`;
}
