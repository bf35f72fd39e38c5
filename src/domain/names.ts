import { AppError } from "../lib/errors.ts";
import { isUuid } from "../lib/ids.ts";

/** Names of servers, agents, skills, policies, groups and keys (contract section 1). `__` separates server and tool on the gateway. */
export const NAME_PATTERN = /^(?!.*__)[a-z0-9][a-z0-9-]{0,62}$/;

/** Words that are paths of ours on the gateway, so that no server can take them. */
const RESERVED_SERVER_NAMES: ReadonlySet<string> = new Set(["skill", "runlayer"]);

/** A reference to an object: its id, or its unique name (member refs: id or email). */
export type Ref = string;

export function isName(text: string): boolean {
  return NAME_PATTERN.test(text) && !isUuid(text);
}

/** Throws `invalid_input` for a name that the gateway needs for itself. */
export function assertServerName(name: string): void {
  if (!RESERVED_SERVER_NAMES.has(name)) return;
  throw new AppError("invalid_input", `server name \`${name}\` is reserved; choose another name`, {
    details: { field: "name" },
  });
}
