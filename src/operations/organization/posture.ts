import { z } from "zod";
import { keyStatus, type ApiKey } from "../../domain/api-key.ts";
import { SEVERITIES, type HealthState, type Server, type Severity } from "../../domain/server.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { isExpiring, isUnused } from "../api-keys/key-flags.ts";
import type { Services } from "../services.ts";

const Problem = z.object({
  code: z.string(),
  severity: z.enum(SEVERITIES),
  message: z.string(),
  count: z.int(),
  operation: z
    .object({ tool: z.string(), arguments: z.record(z.string(), z.unknown()) })
    .optional()
    .describe("The call that shows or fixes it"),
});

export const Posture = z.object({
  score: z.int().describe("0 to 100, the higher the better"),
  problems: z.array(Problem).describe("What needs attention, the worst first"),
});

type Problem = z.output<typeof Problem>;

/** What a problem takes off the score, however many objects have it: the first one already needs somebody. */
const WEIGHTS: Readonly<Record<Severity, number>> = { critical: 40, high: 20, medium: 8, low: 3, info: 0 };

/** The states in which a server does not work, each mended in another way. */
const BROKEN_STATES = {
  unreachable: "active servers could not be reached when last contacted; start them, or correct their address",
  unauthorized: "active servers did not accept their credential when last contacted; rotate it with update_mcp_server",
  not_mcp: "active servers did not answer as MCP servers when last contacted; correct their `url` or `transport`",
} as const satisfies Partial<Record<HealthState, string>>;

/** What needs attention as of the current view, and the operation that shows or fixes it. */
export function assessPosture(
  snapshot: Snapshot,
  services: Services,
  { now, approvalsPending }: { now: number; approvalsPending: number },
): z.output<typeof Posture> {
  const found = [
    ...serverProblems(snapshot, services),
    ...keyProblems(snapshot, now),
    ...otherProblems(snapshot, approvalsPending),
  ];
  const problems = found
    .filter((problem) => problem.count > 0)
    .toSorted((left, right) => WEIGHTS[right.severity] - WEIGHTS[left.severity]);
  const lost = problems.reduce((sum, problem) => sum + WEIGHTS[problem.severity], 0);
  return { score: Math.max(0, 100 - lost), problems };
}

function serverProblems(snapshot: Snapshot, { stdioIsolation }: Services): Problem[] {
  const views = [...snapshot.serverById.values()].filter(({ server }) => server.status === "active");
  const count = (matches: (server: Server) => boolean): number => views.filter(({ server }) => matches(server)).length;
  const waiting = views.filter(({ toolByName }) => [...toolByName.values()].some((tool) => tool.state !== "approved"));
  return [
    ...Object.entries(BROKEN_STATES).map(([health, message]): Problem => ({
      code: `server_${health}`,
      severity: "high",
      message,
      count: count((server) => server.health.state === health),
      operation: { tool: "list_mcp_servers", arguments: { status: "active", health } },
    })),
    {
      code: "tool_changes_unreviewed",
      severity: "high",
      message: "servers show tools that nobody has accepted; they count as destructive until then",
      count: waiting.length,
      ...(waiting[0] === undefined
        ? {}
        : { operation: { tool: "get_mcp_server", arguments: { id: waiting[0].server.id } } }),
    },
    {
      code: "stdio_not_isolated",
      severity: "high",
      message: "stdio servers run as the account of the gateway; set RUNLAYER_STDIO_USER or install bubblewrap",
      count: stdioIsolation === "none" ? count(isStdio) : 0,
      operation: { tool: "list_mcp_servers", arguments: { transport: "stdio" } },
    },
    {
      code: "stdio_refused",
      severity: "medium",
      message:
        "stdio servers are registered and not started: this node runs as root without RUNLAYER_STDIO_USER, or stdio is switched off",
      count: stdioIsolation === "refused" || stdioIsolation === "off" ? count(isStdio) : 0,
      operation: { tool: "list_mcp_servers", arguments: { transport: "stdio" } },
    },
    {
      code: "upstream_without_tls",
      severity: "medium",
      message: "servers outside this network are reached over plain HTTP",
      count: count(({ url, allowPrivateNetwork }) => url?.startsWith("http:") === true && !allowPrivateNetwork),
      operation: { tool: "list_mcp_servers", arguments: {} },
    },
  ];
}

function keyProblems(snapshot: Snapshot, now: number): Problem[] {
  const active = [...snapshot.keyById.values()].filter((key) => keyStatus(key, now) === "active");
  const count = (matches: (key: ApiKey, now: number) => boolean): number =>
    active.filter((key) => matches(key, now)).length;
  return [
    {
      code: "keys_unused",
      severity: "medium",
      message: "active keys that nobody used for 90 days; revoke those that nobody needs",
      count: count(isUnused),
      operation: { tool: "list_api_keys", arguments: { status: "active", unusedForDays: 90 } },
    },
    {
      code: "keys_expiring",
      severity: "low",
      message: "keys that expire within 14 days",
      count: count(isExpiring),
      operation: { tool: "list_api_keys", arguments: { status: "active" } },
    },
  ];
}

function otherProblems(snapshot: Snapshot, approvalsPending: number): Problem[] {
  const ownerless = [...snapshot.agentById.values()].filter(({ agent }) => agent.owner === null);
  return [
    {
      code: "agents_without_owner",
      severity: "low",
      message: "agents that no member answers for",
      count: ownerless.length,
      operation: { tool: "list_agents", arguments: {} },
    },
    {
      code: "approvals_pending",
      severity: "medium",
      message: "held calls wait for a person's decision",
      count: approvalsPending,
      operation: { tool: "list_approvals", arguments: { status: "pending" } },
    },
    {
      code: "audit_not_anchored",
      severity: "low",
      message:
        "no copy of the audit log's state is kept outside this installation, so a rewritten database would go unnoticed",
      count: 1,
    },
  ];
}

function isStdio({ transport }: Server): boolean {
  return transport === "stdio";
}
