import { createHash } from "node:crypto";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import type { ServerTool, Severity, ToolDefinition, ToolListing } from "./server.ts";

/**
 * A tool with a longer name is left out of what is known of a server. MCP advises 128 (2025-11-25, tools); PostgreSQL's index takes
 * 2 704 bytes, and a stored character up to five.
 */
export const TOOL_NAME_CHARACTERS_MAX = 512;

/**
 * SHA-256 of the canonical definition (RFC 8785), hex: whatever the upstream changes, the digest shows it. Half of a surrogate
 * pair, which canonical JSON cannot hold, counts as its escape: a definition that cannot be digested would not be compared.
 */
export function toolDigest(definition: ToolDefinition): string {
  const written = JSON.stringify(definition);
  const isWellFormed = !LONE_SURROGATE.test(written);
  const value: unknown = isWellFormed ? definition : JSON.parse(written.replaceAll(ESCAPES, escapeAgain));
  return createHash("sha256").update(toCanonicalJson(value)).digest("hex");
}

/** `JSON.stringify` escapes no surrogate but a lone one; what looks like one behind an escaped backslash is text. */
const LONE_SURROGATE = /\\ud[89a-f]/;
const ESCAPES = /\\(?:\\|ud[89a-f])/g;

function escapeAgain(escape: string): string {
  return escape === "\\\\" ? escape : `\\${escape}`;
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

/** A list that was read to its end. */
export function wholeListing(tools: readonly ToolDefinition[]): ToolListing {
  return { tools, earlier: new Set() };
}

/** What one server can make us remember: as many tools as discovery reads, and as many absent ones. */
const TOOLS_MAX = 5000;

interface Sight {
  readonly serverId: string;
  readonly seenAt: number;
  /** Whether the person who asked for the list accepts what it shows. */
  readonly isAccepted: boolean;
}

/**
 * What is known of a server's tools after it listed them: unknown ones are `unreviewed`, other definitions wait as `pending` beside
 * the accepted one. A vanished one that somebody accepted is kept as absent, so that what comes back under its name is compared;
 * it goes when the person who asked accepts a list without it. `known` MUST hold the absent ones.
 */
export function mergeTools(
  known: readonly ServerTool[],
  { tools, earlier }: ToolListing,
  { serverId, seenAt, isAccepted }: Sight,
): readonly ServerTool[] {
  const knownByName = new Map(known.map((tool) => [tool.name, tool]));
  // A name that is listed twice would be two tools behind one permission: the first stands.
  const unique = new Map(tools.toReversed().map((definition) => [definition.name, definition]));
  const listed: ServerTool[] = [];
  const fresh: ServerTool[] = [];
  for (const definition of unique.values()) {
    const { name } = definition;
    const before = knownByName.get(name);
    const seen = { digest: toolDigest(definition), definition, seenAt };
    if (before !== undefined && !isAccepted) listed.push(mergeKnown(before, seen));
    else {
      const state = isAccepted ? "approved" : "unreviewed";
      const times = { firstSeenAt: before?.firstSeenAt ?? seenAt, lastSeenAt: seenAt, absentSince: null };
      fresh.push({ serverId, name, digest: seen.digest, definition, state, pending: null, ...times });
    }
  }
  const others = isAccepted ? [] : known.filter(({ name }) => !unique.has(name));
  const isListed = ({ name, absentSince }: ServerTool): boolean => absentSince === null && (earlier?.has(name) ?? true);
  listed.push(...others.filter(isListed));
  const absent = others.filter((tool) => !isListed(tool)).flatMap((tool) => toAbsent(tool, seenAt));
  return [...listed, ...fresh.slice(0, Math.max(0, TOOLS_MAX - listed.length)), ...newest(absent)];
}

/** What nobody accepted leaves nothing to compare with. */
function toAbsent(tool: ServerTool, seenAt: number): ServerTool[] {
  return tool.state === "unreviewed" ? [] : [{ ...tool, absentSince: tool.absentSince ?? seenAt }];
}

function newest(absent: readonly ServerTool[]): readonly ServerTool[] {
  if (absent.length <= TOOLS_MAX) return absent;
  return absent.toSorted((left, right) => (right.absentSince ?? 0) - (left.absentSince ?? 0)).slice(0, TOOLS_MAX);
}

function mergeKnown(
  before: ServerTool,
  seen: { readonly digest: string; readonly definition: ToolDefinition; readonly seenAt: number },
): ServerTool {
  const listed = { ...before, lastSeenAt: seen.seenAt, absentSince: null };
  if (before.digest === seen.digest)
    return { ...listed, state: before.state === "changed" ? "approved" : before.state, pending: null };
  // Only what was accepted has changed: an unreviewed tool that shows its first definition again is not accepted by that.
  return {
    ...listed,
    state: before.state === "unreviewed" ? "unreviewed" : "changed",
    pending: before.pending?.digest === seen.digest ? before.pending : seen,
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
