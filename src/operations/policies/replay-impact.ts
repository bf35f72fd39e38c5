import { z } from "zod";
import { toRfc3339 } from "../../lib/clock.ts";
import { type RecordedCall, replay, type ReplayResult, type ReplayRules } from "../../policy/replay.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { toMessage } from "../../snapshot/to-message.ts";
import type { RecordedToolCall, Repositories } from "../../store/ports.ts";

const DAYS_REPLAYED = 30;
const CALLS_MAX = 50_000;
/** Rows that are read and decided at a time: the event loop is free in between. */
const CALLS_PER_PAGE = 500;
const EXAMPLES_MAX = 10;
const DAY_MS = 86_400_000;

const Outcome = z.enum(["allow", "deny", "held"]);

export const ReplayOutput = z.object({
  replayed: z.int().describe("Recorded calls of the last 30 days, at most 50 000, the newest"),
  newlyDenied: z.int(),
  newlyAllowed: z.int(),
  newlyHeld: z.int(),
  undetermined: z.int().describe("Calls whose record does not suffice to tell"),
  examples: z.array(
    z.object({
      agent: z.string(),
      server: z.string(),
      tool: z.string(),
      time: z.string(),
      arguments: z.unknown().optional(),
      before: Outcome,
      after: Outcome,
    }),
  ),
});

export type ReplayOutput = z.output<typeof ReplayOutput>;

export const NOTHING_REPLAYED: ReplayOutput = {
  replayed: 0,
  newlyDenied: 0,
  newlyAllowed: 0,
  newlyHeld: 0,
  undetermined: 0,
  examples: [],
};

export interface ReplayOptions {
  readonly before: ReplayRules;
  readonly after: ReplayRules;
  /** Agents, servers and tools as they are now. */
  readonly snapshot: Snapshot;
  readonly now: number;
  readonly read: <T>(work: (repositories: Repositories) => Promise<T>) => Promise<T>;
}

/** Decides the recorded calls under both sets of rules, page by page, and sums up what changes. */
export async function replayCalls(options: ReplayOptions): Promise<ReplayOutput> {
  const { before, after, read, now } = options;
  const from = now - DAYS_REPLAYED * DAY_MS;
  const rebuild = createRebuilder(options.snapshot);
  let sum = NOTHING_REPLAYED;
  let last: RecordedToolCall | undefined;
  while (sum.replayed < CALLS_MAX) {
    const limit = Math.min(CALLS_PER_PAGE, CALLS_MAX - sum.replayed);
    const page = await read(({ audit }) => audit.toolCalls({ from, limit, after: last }));
    const calls = page.map(rebuild).filter((call) => call !== undefined);
    sum = add(sum, replay(calls, before, after), page.length);
    last = page.at(-1);
    if (page.length < limit) return sum;
  }
  return sum;
}

function add(sum: ReplayOutput, part: ReplayResult, replayed: number): ReplayOutput {
  return {
    replayed: sum.replayed + replayed,
    newlyDenied: sum.newlyDenied + part.newlyDenied,
    newlyAllowed: sum.newlyAllowed + part.newlyAllowed,
    newlyHeld: sum.newlyHeld + part.newlyHeld,
    undetermined: sum.undetermined + part.undetermined,
    examples: [...sum.examples, ...part.examples].slice(0, EXAMPLES_MAX),
  };
}

/** Gives undefined for a call that no policy would have to decide today, because it is not assigned: nothing changes for it. */
function createRebuilder(snapshot: Snapshot): (call: RecordedToolCall) => RecordedCall | undefined {
  return (call) => {
    const { tool, serverId } = whatWasCalled(call);
    const agent = snapshot.agentById.get(call.agentId);
    const server = snapshot.serverById.get(serverId);
    const recorded = { hasArguments: hasArguments(call), example: toExample(call, tool) };
    if (agent === undefined || server === undefined) return recorded;
    if (agent.assignmentByServerId.get(serverId)?.isToolAssigned(tool) !== true) return undefined;
    const { ip, client, time } = call;
    const asked = { action: "call_tool", target: { type: "tool", name: tool } } as const;
    const sending = { args: () => call.details["arguments"], ip, client, nowMs: time };
    return { ...recorded, message: toMessage({ snapshot, agent, server }, asked, sending) };
  };
}

function whatWasCalled({ details }: RecordedToolCall): { readonly tool: string; readonly serverId: string } {
  const { tool, server } = details;
  const serverId = typeof server === "object" && server !== null && "id" in server ? server.id : "";
  return {
    tool: typeof tool === "string" ? tool : "",
    serverId: typeof serverId === "string" ? serverId : "",
  };
}

/** Whether the record holds the arguments as they were sent: neither left out, nor cut, nor masked. */
function hasArguments({ details }: RecordedToolCall): boolean {
  return details["arguments"] !== undefined && details["argumentsAltered"] !== true;
}

function toExample(
  { agentName, resourceName, time, details }: RecordedToolCall,
  tool: string,
): RecordedCall["example"] {
  const server = resourceName.slice(0, Math.max(0, resourceName.length - tool.length - 1));
  const args = details["arguments"];
  return {
    agent: agentName,
    server,
    tool,
    time: toRfc3339(time),
    ...(args === undefined ? {} : { arguments: args }),
  };
}
