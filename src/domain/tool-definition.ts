import { createHash } from "node:crypto";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import type { ServerTool, Severity, ToolDefinition } from "./server.ts";

/** SHA-256 of the canonical definition (RFC 8785), hex: whatever the upstream changes, the digest shows it. */
export function toolDigest(definition: ToolDefinition): string {
  return createHash("sha256").update(toCanonicalJson(definition)).digest("hex");
}

/** How dangerous a tool is by its annotations. They are hints of the upstream: an unannotated tool counts as able to write. */
export function toolRisk({ annotations }: ToolDefinition): Severity {
  if (annotations?.["destructiveHint"] === true) return "high";
  if (annotations?.["readOnlyHint"] === true) return annotations["openWorldHint"] === true ? "medium" : "low";
  return "medium";
}

const ORDER: readonly Severity[] = ["critical", "high", "medium", "low", "info"];

/** The highest of several severities; `info` for none. */
export function highestSeverity(severities: readonly Severity[]): Severity {
  return ORDER.find((severity) => severities.includes(severity)) ?? "info";
}

/**
 * The stored tools after a complete list of the upstream: unknown ones are `unreviewed`, other definitions wait as `pending`
 * beside the accepted one, vanished ones go. `isAccepted`: the person who asked for this list accepts what it shows.
 */
export function mergeTools(
  known: readonly ServerTool[],
  listed: readonly ToolDefinition[],
  { serverId, seenAt, isAccepted }: { serverId: string; seenAt: number; isAccepted: boolean },
): readonly ServerTool[] {
  const knownByName = new Map(known.map((tool) => [tool.name, tool]));
  // A name that is listed twice would be two tools behind one permission: the first stands.
  const unique = new Map(listed.toReversed().map((definition) => [definition.name, definition]));
  return [...unique.values()].toReversed().map((definition): ServerTool => {
    const digest = toolDigest(definition);
    const before = knownByName.get(definition.name);
    const fresh = { serverId, name: definition.name, digest, definition, pending: null, lastSeenAt: seenAt } as const;
    if (before === undefined || isAccepted) {
      const state = isAccepted ? "approved" : "unreviewed";
      return { ...fresh, state, firstSeenAt: before?.firstSeenAt ?? seenAt };
    }
    return mergeKnown(before, { digest, definition, seenAt });
  });
}

function mergeKnown(
  before: ServerTool,
  seen: { readonly digest: string; readonly definition: ToolDefinition; readonly seenAt: number },
): ServerTool {
  const isBack = before.digest === seen.digest;
  if (!isBack)
    return {
      ...before,
      state: "changed",
      pending: before.pending?.digest === seen.digest ? before.pending : seen,
      lastSeenAt: seen.seenAt,
    };
  return {
    ...before,
    state: before.state === "changed" ? "approved" : before.state,
    pending: null,
    lastSeenAt: seen.seenAt,
  };
}

/** The tool with its waiting change accepted, or as it is reviewed for the first time. */
export function approveTool(tool: ServerTool): ServerTool {
  if (tool.pending === null) return { ...tool, state: "approved" };
  return {
    ...tool,
    state: "approved",
    digest: tool.pending.digest,
    definition: tool.pending.definition,
    pending: null,
  };
}
