import { randomUUID } from "node:crypto";
import type { Server } from "../../domain/server.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ServerView, Snapshot } from "../../snapshot/snapshot.ts";
import { DEFAULT_LIMITS, type GatewayLimits } from "../context.ts";
import { parseUpstreamEnvelope, type Envelope } from "../envelope/envelope.ts";
import { HeldBytes } from "../held-bytes.ts";
import { MODERN_VERSION } from "../http/request-headers.ts";
import { errorMessage } from "../http/respond.ts";
import { RPC_CODES } from "../rpc-refusal.ts";
import type { HandleScope } from "../seal.ts";
import { createSecretMask, secretsOf } from "../secret-mask.ts";
import type { Upstream, UpstreamCall, UpstreamRequest, Upstreams, UpstreamSink } from "../upstream.ts";
import { BridgedSession } from "./bridged-session.ts";
import { configurationOf, hasOldCredential, isOutdated } from "./configuration.ts";
import { countUntaken } from "./count-untaken.ts";
import type { ChannelListener, MessageChannel } from "./message-channel.ts";
import { endIdle, findSession, makeRoom, type OpenSession } from "./open-sessions.ts";
import { SharedChildren } from "./shared-child.ts";
import { SseChannel, type ReachUrl } from "./sse-channel.ts";
import { StdioChannel, type BridgedChild } from "./stdio-channel.ts";

/** A command to start for one session, with its environment as declared. */
export interface ChildSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  /** For log lines: the server's name. */
  readonly label: string;
}

export interface BridgeOptions {
  readonly clock: Clock;
  /** Starts a supervised child; rejects with an error whose message is for the caller. */
  readonly startChild: (spec: ChildSpec) => Promise<BridgedChild>;
  /** Reaches a URL of the server with its credential, checked as every way out. */
  readonly reach: (view: ServerView) => ReachUrl;
  readonly onProblem: (message: string) => void;
  /** A session that is neither used nor listened to for so long is ended, and its child with it. */
  readonly idleMs?: number | undefined;
  /** What has a credential of before ends after so long, but for children of one session. */
  readonly drainMs?: number | undefined;
  /** One agent may have so many sessions open; one more ends the one of its own that is idle longest. */
  readonly sessionsPerAgentMax?: number | undefined;
  /** What may wait in memory for servers to take it, as for what waits for clients. */
  readonly limits?: Partial<Pick<GatewayLimits, "heldBytesMax" | "heldBytesPerAgentMax">> | undefined;
}

/** Makes servers that speak stdio or legacy SSE look like streamable HTTP, one channel per session. */
export interface Bridge extends Upstreams {
  /** Ends every session. */
  close(): void;
  readonly sessionCount: number;
}

const IDLE_MS = 30 * 60_000;
const DRAIN_MS = 10 * 60_000;
/** A fifth of the children that may live: no agent can take them all. */
const SESSIONS_PER_AGENT_MAX = 100;
const SWEEP_MS = 30_000;
const SUPPORTED = ["2025-11-25", "2025-06-18", "2025-03-26"];

/**
 * Messages pass as bytes between our side and the channel: the MCP SDK's client and server would parse, check and write each one
 * again, and lose what they do not know. Sessions, decisions and the audit log are the gateway's own, as for every server.
 */
export function createBridge(options: BridgeOptions): Bridge {
  const sessions = new Map<string, OpenSession>();
  const idleMs = options.idleMs ?? IDLE_MS;
  const children = new SharedChildren({ ...options, idleMs });
  const untaken = new HeldBytes({ ...DEFAULT_LIMITS, ...options.limits });
  const drainMs = options.drainMs ?? DRAIN_MS;
  let latest: Snapshot | undefined;
  const drain = (): void => {
    if (latest !== undefined) endDrained(latest, { sessions, children }, options.clock.now() - drainMs);
  };
  const sweep = setInterval(
    () => {
      endIdle(sessions, options.clock.now() - idleMs);
      drain();
    },
    Math.min(SWEEP_MS, idleMs, drainMs),
  ).unref();
  return {
    of: (server, scope) => createBridged(server, scope, { options, sessions, children, untaken }),
    endSession: (scope, upstreamId) => findSession(sessions, scope, upstreamId)?.end(),
    hasEnded: (_server, scope, upstreamId) => findSession(sessions, scope, upstreamId) === undefined,
    enforce(snapshot) {
      latest = snapshot;
      endOutdated(snapshot, { sessions, children });
      for (const session of sessions.values())
        if (hasOldCredential(session.configuration, snapshot.serverById.get(session.serverId)))
          session.outdatedAt ??= options.clock.now();
      drain();
    },
    get sessionCount() {
      return sessions.size;
    },
    close() {
      clearInterval(sweep);
      for (const { session } of sessions.values()) session.end();
      children.closeWhere(() => true);
    },
  };
}

/** A client recovers from the end of its session by itself: its next message is answered with 404, and it begins a new one. */
function endOutdated({ serverById }: Snapshot, { sessions, children }: Pick<Shared, "sessions" | "children">): void {
  for (const { session, serverId, configuration } of sessions.values())
    if (isOutdated(configuration, serverById.get(serverId))) session.end("the server was changed");
  children.closeWhere(({ serverId, configuration }) => isOutdated(configuration, serverById.get(serverId)));
}

/**
 * Sessions with a credential of before go on for a while, so that no call fails because of a rotation; a child of one session as long as
 * that (contract, `update_mcp_server`). A child that sessions shared goes with the last of them.
 */
function endDrained(
  { serverById }: Snapshot,
  { sessions, children }: Pick<Shared, "sessions" | "children">,
  before: number,
): void {
  for (const { session, serverId, outdatedAt } of sessions.values()) {
    const server = serverById.get(serverId)?.server;
    const hasOwnChild = server?.transport === "stdio" && !server.shareable;
    if (!hasOwnChild && outdatedAt !== undefined && outdatedAt <= before) session.end("the server was changed");
  }
  const inUse = new Set([...sessions.values()].map(({ configuration }) => JSON.stringify(configuration)));
  children.closeWhere(
    ({ serverId, configuration }) =>
      hasOldCredential(configuration, serverById.get(serverId)) && !inUse.has(JSON.stringify(configuration)),
  );
}

interface Shared {
  readonly options: BridgeOptions;
  readonly sessions: Map<string, OpenSession>;
  readonly children: SharedChildren;
  readonly untaken: HeldBytes;
}

function createBridged(view: ServerView, scope: HandleScope, shared: Shared): Upstream {
  const { options, sessions, untaken } = shared;
  const { agentId } = scope;
  return {
    send(request, sink) {
      const named = headerOf(request, "mcp-session-id");
      const session = findSession(sessions, scope, named ?? "");
      if (headerOf(request, "mcp-protocol-version") === MODERN_VERSION) return answer(sink, 400, unsupportedVersion());
      if (session === undefined && named !== undefined)
        return answer(sink, 404, refusal("the session has ended; start a new one"));
      if (request.method === "POST" && !untaken.hasRoom(agentId)) return answer(sink, 503, tooMuchUntaken());
      if (session !== undefined) {
        session.lastUsedAt = options.clock.now();
        return use(session, request, sink);
      }
      if (!isOpening(request))
        return answer(sink, 400, refusal("this server needs a session; begin with `initialize`"));
      const max = options.sessionsPerAgentMax ?? SESSIONS_PER_AGENT_MAX;
      if (!makeRoom(sessions, agentId, max)) return answer(sink, 503, noRoom(max));
      return open(view, scope, shared).post(messageIn(request), sink);
    },
  };
}

function open(view: ServerView, scope: HandleScope, shared: Shared): BridgedSession {
  const { options, sessions, untaken } = shared;
  const id = randomUUID();
  const session = new BridgedSession(id, options.clock.now(), {
    connect: (listener) =>
      countUntaken(connect(view, shared, listener), (bytes) => void untaken.add(scope.agentId, bytes)),
    onClosed: () => sessions.delete(id),
  });
  const configuration = configurationOf(view);
  const { agentId, serverId } = scope;
  sessions.set(id, { session, agentId, serverId, configuration, outdatedAt: undefined });
  return session;
}

function use(session: BridgedSession, request: UpstreamRequest, sink: UpstreamSink): UpstreamCall {
  if (request.method === "POST") return session.post(messageIn(request), sink);
  if (request.method === "GET") return session.listen(sink);
  session.end();
  return answer(sink, 200, Buffer.alloc(0));
}

function connect(view: ServerView, { options, children }: Shared, listener: ChannelListener): MessageChannel {
  const { server } = view;
  const start = (): Promise<BridgedChild> => options.startChild(childSpec(view));
  if (server.transport === "stdio" && server.shareable)
    return children.connect(
      { serverId: server.id, configuration: configurationOf(view), label: server.name, start },
      masked(listener, view),
    );
  if (server.transport === "stdio") return new StdioChannel(start(), masked(listener, view));
  return new SseChannel(new URL(server.url ?? ""), options.reach(view), listener);
}

/** What is reached over HTTP is masked there. */
function masked(listener: ChannelListener, view: ServerView): ChannelListener {
  const mask = createSecretMask(secretsOf(view.secrets()));
  if (mask === undefined) return listener;
  return { message: (bytes) => listener.message(mask.mask(bytes)), closed: (fault) => listener.closed(fault) };
}

function childSpec(view: ServerView): ChildSpec {
  const { server } = view;
  const { args, env, credential } = view.secrets();
  const secret = credential.type === "env" ? credential.values : {};
  return { command: commandOf(server), args, env: { ...env, ...secret }, cwd: server.cwd, label: server.name };
}

function commandOf({ command }: Server): string {
  if (command === null) throw new Error("invariant violated: a stdio server has a command");
  return command;
}

function messageIn({ message, body }: UpstreamRequest): Envelope {
  return message ?? parseUpstreamEnvelope(body ?? Buffer.alloc(0));
}

function isOpening(request: UpstreamRequest): boolean {
  if (request.method !== "POST" || request.body === undefined) return false;
  const envelope = messageIn(request);
  return envelope.kind === "request" && envelope.method === "initialize";
}

/** Answers in the upstream's stead. */
function answer(sink: UpstreamSink, status: number, body: Buffer): UpstreamCall {
  let isAborted = false;
  setImmediate(() => {
    if (isAborted) return;
    sink.head(status, { "content-type": "application/json" }, true);
    if (body.length > 0) sink.data(body);
    sink.end();
  });
  return {
    abort: () => {
      isAborted = true;
    },
    pause: noop,
    resume: noop,
  };
}

function noop(): void {
  // The answer is in memory already.
}

function refusal(message: string): Buffer {
  return errorMessage("null", { code: RPC_CODES.invalidRequest, message });
}

function noRoom(max: number): Buffer {
  const message = `this agent has ${max} sessions with stdio and SSE servers open, and all are in use; end some of them`;
  return errorMessage("null", { code: RPC_CODES.unavailable, message });
}

function tooMuchUntaken(): Buffer {
  const message =
    "this was not sent: too much waits already for stdio and SSE servers to read it; try again later, or end sessions with those that do not";
  return errorMessage("null", { code: RPC_CODES.unavailable, message });
}

/** A client of the stateless revision learns that here it has to open a session, as with any older server. */
function unsupportedVersion(): Buffer {
  const message = "this server does not speak this revision; open a session with `initialize`";
  const data = { supported: SUPPORTED, requested: MODERN_VERSION };
  return errorMessage("null", { code: RPC_CODES.unsupportedVersion, message, data });
}

function headerOf({ headers }: UpstreamRequest, name: string): string | undefined {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text === name);
  return at === -1 ? undefined : headers[at + 1];
}
