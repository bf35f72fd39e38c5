import type { IncomingMessage } from "node:http";
import type { AuthFailureAggregator } from "../audit/auth-failures.ts";
import type { AuditLog } from "../audit/audit-log.ts";
import type { Authentication, AuthenticationRequest, FindKeyByHash } from "../auth/authenticate.ts";
import type { ServerHealth, ToolListing } from "../domain/server.ts";
import type { Clock } from "../lib/clock.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { LiveView } from "../snapshot/live-view.ts";
import type { AggregateOptions } from "./aggregate/ports.ts";
import type { ApprovalStore } from "./approvals.ts";
import type { ClientTasks } from "./client-tasks.ts";
import type { Continuations } from "./continuations.ts";
import type { HeldBytes } from "./held-bytes.ts";
import type { HeldCalls } from "./held-calls.ts";
import type { IssuedTasks } from "./issued-tasks.ts";
import type { ListFilter } from "./lists.ts";
import type { LiveExchanges } from "./live-exchanges.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { OwnMessages } from "./own-messages.ts";
import type { Sealer } from "./seal.ts";
import type { ServerRequests } from "./server-requests.ts";
import type { Sessions } from "./sessions.ts";
import type { SuspendedCalls } from "./suspended-calls.ts";
import type { ToolWatch } from "./tool-watch.ts";
import type { Upstreams } from "./upstream.ts";

/** Upper bounds of what one message or answer may cost. */
export interface GatewayLimits {
  readonly messageBytesMax: number;
  /** Of one JSON answer or one event of a stream. */
  readonly answerBytesMax: number;
  /** Of all messages that are read and answers that are held in memory at one time. */
  readonly heldBytesMax: number;
  /** Of these, those of one agent. */
  readonly heldBytesPerAgentMax: number;
  /** A client that takes nothing for so long is cut off. */
  readonly stalledClientMs: number;
  /** A client that has not taken all of its answer for so long is cut off, however it trickles. */
  readonly slowClientMs: number;
  /** So often an open event stream gets a comment, however silent its server is. */
  readonly quietStreamMs: number;
  /** Calls that wait open for an approval on this node; one more is told to come back. */
  readonly heldCallsMax: number;
  /** Of these, calls of one agent. */
  readonly heldCallsPerAgentMax: number;
  /** A call waits open for an approval so long; then its client is told to come back. */
  readonly heldCallMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  // The limit of the MCP SDKs, so that what a server takes directly passes.
  messageBytesMax: 4 * 1024 * 1024,
  // Images and files come in base64 in one message.
  answerBytesMax: 32 * 1024 * 1024,
  heldBytesMax: 256 * 1024 * 1024,
  // Two answers of the largest size, and no agent can take what all need.
  heldBytesPerAgentMax: 64 * 1024 * 1024,
  stalledClientMs: 120_000,
  // Whoever takes an answer, however slowly, has it by then.
  slowClientMs: 10 * 60_000,
  // What is between gives up a silent connection after 30 s at the earliest, mostly 60 s.
  quietStreamMs: 20_000,
  heldCallsMax: 200,
  heldCallsPerAgentMax: 50,
  // Most clients give up a request after 60 s: by then they know that it waits, and where.
  heldCallMs: 50_000,
};

/** Told what traffic shows about a server. MUST NOT throw; what it keeps is its own business. */
export interface TrafficObserver {
  /** The server's list of tools, or a page of it: when it differs from the last one seen, and otherwise from time to time. */
  toolsListed(serverId: string, listing: ToolListing): void;
  health(serverId: string, health: Pick<ServerHealth, "state" | "latencyMs" | "error">): void;
  /** An agent sent a message that was let in. */
  keyUsed(use: {
    readonly keyId: string;
    readonly agentId: string;
    readonly ip: string | undefined;
    readonly at: number;
  }): void;
  /** What an agent asked for was denied. */
  keyDenied(keyId: string, at: number): void;
}

export interface GatewayOptions {
  readonly liveView: LiveView;
  readonly audit: AuditLog;
  readonly authenticate: (request: AuthenticationRequest, findKey: FindKeyByHash) => Authentication;
  readonly upstreams: Upstreams;
  /** 32 secret bytes, the same on every node and after a restart. */
  readonly sealKey: Buffer;
  /** Shared with the other surfaces: one flood, one count. */
  readonly authFailures: Pick<AuthFailureAggregator, "note">;
  readonly clock: Clock;
  /** The client's address as the listener determines it. */
  readonly clientIp: (request: IncomingMessage) => string | undefined;
  /** A copy of a call's arguments in which secrets are masked. */
  readonly maskSecrets: (value: unknown) => unknown;
  /** Faults that an operator should know of. MUST NOT throw. */
  readonly onProblem: (message: string, cause?: unknown) => void;
  readonly observer?: TrafficObserver | undefined;
  readonly metrics?: GatewayMetrics | undefined;
  /** What `/gateway/mcp` needs beyond the rest; without it the path does not exist. */
  readonly aggregate?: AggregateOptions | undefined;
  /** Decides on calls that a policy holds; without one they stay held. */
  readonly approvals?: ApprovalStore | undefined;
  readonly limits?: Partial<GatewayLimits> | undefined;
}

/** What every part of the gateway shares. */
export interface GatewayContext extends Omit<GatewayOptions, "limits" | "sealKey" | "authenticate"> {
  readonly limits: GatewayLimits;
  readonly identifyKey: (request: AuthenticationRequest, snapshot: Snapshot) => Authentication;
  readonly sealer: Sealer;
  readonly sessions: Sessions;
  readonly serverRequests: ServerRequests;
  readonly ownMessages: OwnMessages;
  readonly issuedTasks: IssuedTasks;
  readonly clientTasks: ClientTasks;
  readonly exchanges: LiveExchanges;
  readonly lists: ListFilter;
  readonly toolWatch: ToolWatch;
  readonly heldBytes: HeldBytes;
  readonly heldCalls: HeldCalls;
  readonly continuations: Continuations;
  /** Calls whose stream ended before their answer, until a resumed stream brings it. */
  readonly suspended: SuspendedCalls;
  /** Calls whose answers went out on streams that can be resumed: the client may ask for them again. */
  readonly answered: SuspendedCalls;
  /** A name that a caller chose, as the log may keep it. */
  readonly maskName: (name: string) => string;
}
