import { AppError } from "../lib/errors.ts";

/** How an aggregate is called in messages, and which operation shows what exists. */
export interface Noun {
  readonly singular: string;
  readonly listedBy: string;
}

export const AGENT: Noun = { singular: "agent", listedBy: "list_agents" };
export const MEMBER: Noun = { singular: "member", listedBy: "list_members" };
export const POLICY: Noun = { singular: "policy", listedBy: "list_policies" };
export const SERVER: Noun = { singular: "server", listedBy: "list_mcp_servers" };

/** For what is not there, and word for word the same for what the caller may not see. */
export function notFound(noun: Noun, ref: string): AppError {
  return new AppError("not_found", `${noun.singular} \`${ref}\` does not exist; ${noun.listedBy} shows what does`, {
    details: { kind: noun.singular, ref },
  });
}
