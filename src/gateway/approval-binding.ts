import { createHash } from "node:crypto";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import type { HeldCall } from "./approvals.ts";

/**
 * SHA-256, hex, over everything that contract section 5 binds an approval to; ids, not names, so that a renamed agent keeps its
 * approvals and no other gets them. Stored with each approval: another form of it makes people decide again.
 */
export function bindingHashOf({
  agent,
  member,
  server,
  action,
  target,
  requester,
  toolDigest,
  argumentsHash,
}: HeldCall): string {
  const thing =
    target.type === "skill"
      ? [target.id, action, "skill", target.version]
      : [server?.id, action, target.type, asWritten(target.name)];
  // What somebody tries in an agent's name is no call of the agent: neither takes the other's approval.
  const tried = requester === null ? [] : [requester.type, requester.id];
  const bound = [agent.id, member?.id, ...thing, toolDigest, argumentsHash, ...tried];
  return createHash("sha256").update(toCanonicalJson(bound)).digest("hex");
}

/** A name is the client's own text. Half a surrogate pair, which canonical JSON does not hold, is not its replacement. */
function asWritten(name: string): string | readonly string[] {
  return name.isWellFormed() ? name : [JSON.stringify(name)];
}
