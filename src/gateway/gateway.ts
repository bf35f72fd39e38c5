import type { IncomingMessage, ServerResponse } from "node:http";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { accessAs, challengeOf, clientOf, identify, type Access } from "./access.ts";
import { type Aggregate, createAggregate } from "./aggregate/aggregate.ts";
import { createInnerHttp, type InnerOrigin, SESSION_GONE_HEADER } from "./aggregate/inner-http.ts";
import { Openings } from "./aggregate/openings.ts";
import { handleMessage } from "./client-messages.ts";
import { createClientTasks } from "./client-tasks.ts";
import { Continuations } from "./continuations.ts";
import { DEFAULT_LIMITS, type GatewayContext, type GatewayOptions } from "./context.ts";
import { drain, SHUTDOWN } from "./drain.ts";
import { endSessionById } from "./end-session.ts";
import { Exchange } from "./exchange.ts";
import { ClientGoneError, readBody } from "./http/read-body.ts";
import { checkPostHeaders, MODERN_VERSION, one, protocolVersionOf } from "./http/request-headers.ts";
import { respondProblem, respondRefusal } from "./http/respond.ts";
import { HeldBytes } from "./held-bytes.ts";
import { HeldCalls } from "./held-calls.ts";
import { createIssuedTasks } from "./issued-tasks.ts";
import { rememberCallers } from "./known-callers.ts";
import { ListFilter } from "./lists.ts";
import { recordDenial } from "./record-denial.ts";
import { ToolWatch } from "./tool-watch.ts";
import { createNameMask } from "./mask-name.ts";
import { createLiveExchanges } from "./live-exchanges.ts";
import { OwnMessages } from "./own-messages.ts";
import { toDraft } from "./record.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import { createSealer } from "./seal.ts";
import { createServerRequests } from "./server-requests.ts";
import { endSession, openStream } from "./session-requests.ts";
import { createSessions, type LiveSession, type Session } from "./sessions.ts";
import { ANSWERED_LIMITS, SuspendedCalls } from "./suspended-calls.ts";
import { recordEnd, startUpkeep } from "./upkeep.ts";

/** The data plane: what agents send to servers passes here and nowhere else. */
export interface Gateway {
  /** Serves a request whose path is below `/gateway/`. Host and Origin MUST have been checked. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** All of an agent's servers and skills behind one path; absent where it was not asked for. */
  readonly aggregate: Aggregate | undefined;
  /** Sessions that this node has seen lately. */
  sessions(): readonly LiveSession[];
  /** Ends a session at once; its client has to begin a new one. False where there is none. */
  endSession(id: string): boolean;
  /** Requests and streams in flight. */
  readonly liveExchanges: number;
  /** Ends standing streams, lets calls and runs in flight finish for at most `timeoutMs`, and then ends them too. */
  drain(timeoutMs: number): Promise<void>;
  /** Ends everything that is open, at once. */
  close(): void;
}

const AGGREGATE_PATH = /^\/gateway\/mcp(?:\?|$)/;
// A server's name as the domain allows it, and nothing encoded: one server has one path.
const PATH = /^\/gateway\/([a-z0-9][a-z0-9-]{0,62})\/mcp(?:\?|$)/;

/** Makes the gateway and ties it to the live view: what a change forbids ends before the operation that made it answers. */
export function createGateway(options: GatewayOptions): Gateway {
  const context = createContext(options);
  const stopUpkeep = startUpkeep(context);
  const stopFollowing = options.liveView.onSwap((next, previous) => {
    context.exchanges.enforce(next, options.clock.now());
    const forbidden = context.sessions.list().filter((session) => !isStillAllowed(session, next));
    for (const session of forbidden) endForbidden(context, session, previous);
    context.upstreams.enforce(next);
  });
  const aggregate = openAggregate(context);
  return {
    handle(request, response) {
      const isAggregate = aggregate !== undefined && AGGREGATE_PATH.test(request.url ?? "");
      const served = isAggregate ? aggregate.handle(request, response) : serve(context, { request, response });
      served.catch((error: unknown) => respondFault(context, response, error));
    },
    aggregate,
    sessions: () => [...context.sessions.list(), ...(aggregate?.sessions() ?? [])],
    endSession: (id) => endSessionById(context, id) || (aggregate?.endSession(id) ?? false),
    get liveExchanges() {
      return context.exchanges.count;
    },
    drain: (timeoutMs) => drain(context, { aggregate, timeoutMs }),
    close() {
      stopUpkeep();
      stopFollowing();
      aggregate?.close();
      for (const exchange of context.exchanges.list()) exchange.forbid(SHUTDOWN);
    },
  };
}

function openAggregate(context: GatewayContext): Aggregate | undefined {
  if (context.aggregate === undefined) return undefined;
  const revisionOf = (id: string) => context.liveView.current.serverById.get(id)?.server.protocolVersion;
  const inner = createInnerHttp((http, origin) => {
    serveInner(context, http, origin).catch((error: unknown) => respondFault(context, http.response, error));
  }, new Openings(revisionOf));
  return createAggregate(context, inner, context.aggregate);
}

function respondFault({ onProblem }: GatewayContext, response: ServerResponse, error: unknown): void {
  if (error instanceof ClientGoneError || response.destroyed) return;
  onProblem("a message could not be handled", error);
  const message = "something went wrong in the gateway";
  respondRefusal(response, new RpcRefusal({ status: 500, code: RPC_CODES.internalError, message }));
}

function createContext(options: GatewayOptions): GatewayContext {
  const { sealKey, limits, authenticate, ...shared } = options;
  const sealer = createSealer(sealKey);
  const allLimits = { ...DEFAULT_LIMITS, ...limits };
  return {
    ...shared,
    limits: allLimits,
    heldCalls: new HeldCalls(allLimits),
    continuations: new Continuations(),
    identifyKey: rememberCallers(authenticate),
    sealer,
    sessions: createSessions(sealer, options.clock),
    serverRequests: createServerRequests(({ decisionId, startedAt }) => {
      if (decisionId === undefined) return;
      const durationMs = options.clock.now() - startedAt;
      options.audit.settle(decisionId, { outcome: "error", durationMs, reason: "no_answer" });
    }),
    ownMessages: new OwnMessages(),
    issuedTasks: createIssuedTasks(),
    clientTasks: createClientTasks(),
    exchanges: createLiveExchanges(),
    lists: new ListFilter(),
    toolWatch: new ToolWatch(),
    heldBytes: new HeldBytes(allLimits),
    suspended: new SuspendedCalls(),
    answered: new SuspendedCalls(ANSWERED_LIMITS),
    maskName: createNameMask(options.maskSecrets),
  };
}

interface Http {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function serve(context: GatewayContext, http: Http): Promise<void> {
  const { request, response } = http;
  const name = PATH.exec(request.url ?? "")?.[1];
  if (name === undefined) {
    const message = "no such path; an agent's servers are at `/gateway/<server>/mcp`";
    return respondProblem(response, { status: 404, code: "not_found", message });
  }
  const access = identify(request, name, context);
  if (!access.ok) return refuseAccess(context, { access, name }, http);
  context.observer?.keyUsed({
    keyId: access.caller.key.id,
    agentId: access.caller.agent.agent.id,
    ip: access.caller.ip,
    at: context.clock.now(),
  });
  await serveExchange(new Exchange(context, http, access.caller));
}

/** A message of the gateway itself, for an agent whose right is looked up anew. */
async function serveInner(context: GatewayContext, http: Http, origin: InnerOrigin): Promise<void> {
  const access = accessAs(origin, context.liveView.current, context.clock.now());
  if (!access.ok) return respondProblem(http.response, access.refusal);
  const exchange = new Exchange(context, { ...http, inner: origin }, access.caller);
  if (!isSessionGone(exchange)) return serveExchange(exchange);
  http.response.setHeader(SESSION_GONE_HEADER, "true");
  respondRefusal(http.response, noSuchSession());
}

/** Whether a message is of a session that is over, as far as it is known here: then no server gets it. */
function isSessionGone({ request, context, scope, caller }: Exchange): boolean {
  const sealed = sealedSessionOf(request);
  if (request.method !== "POST" || sealed === undefined) return false;
  const session = context.sessions.find(scope, sealed, caller.key.id);
  return session === undefined || context.upstreams.hasEnded(caller.server, scope, session.upstreamId);
}

async function serveExchange(exchange: Exchange): Promise<void> {
  const { response } = exchange;
  try {
    await route(exchange);
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error;
    respondRefusal(response, error);
  }
}

async function route(exchange: Exchange): Promise<void> {
  const { request, response, context } = exchange;
  const { method } = request;
  if (method !== "POST" && method !== "GET" && method !== "DELETE") {
    const headers = { allow: "POST, GET, DELETE" };
    return respondProblem(response, {
      status: 405,
      code: "invalid_input",
      message: "use POST, GET or DELETE",
      headers,
    });
  }
  if (method === "POST") checkPostHeaders(request);
  exchange.session = findSession(exchange);
  if (method === "GET") return openStream(exchange);
  if (method === "DELETE") return endSession(exchange);
  const bytes = await readBody(request, context.limits.messageBytesMax, exchange);
  if (exchange.refresh()) await handleMessage(exchange, bytes);
}

/** The session that the client names. An id that is not its own looks like one that has ended (MCP: 404, start anew). */
function findSession({ request, context, scope, caller }: Exchange): Session | undefined {
  const sealed = sealedSessionOf(request);
  if (sealed === undefined) return undefined;
  const session = context.sessions.find(scope, sealed, caller.key.id);
  if (session === undefined) throw noSuchSession();
  return session;
}

function sealedSessionOf({ headers }: IncomingMessage): string | undefined {
  return protocolVersionOf(headers) === MODERN_VERSION ? undefined : one(headers["mcp-session-id"]);
}

function noSuchSession(): RpcRefusal {
  const message = "no such session; start a new one with `initialize`";
  return new RpcRefusal({ status: 404, code: RPC_CODES.invalidRequest, message });
}

async function refuseAccess(
  context: GatewayContext,
  { access, name }: { access: Extract<Access, { ok: false }>; name: string },
  { request, response }: Http,
): Promise<void> {
  const { refusal, known } = access;
  if (refusal.status === 503) return respondRefusal(response, RpcRefusal.unavailable(refusal.message));
  const answer = { ...refusal, headers: challengeOf(refusal) };
  if (known === undefined) {
    context.authFailures.note({ ip: context.clientIp(request), kind: access.keyFault ?? "unknown_key" });
    return respondProblem(response, answer);
  }
  const subject = {
    snapshot: context.liveView.current,
    agent: known.agent.agent,
    server: known.server,
    ip: known.ip,
    client: clientOf(request, context),
  };
  const reason = refusal.code === "not_found" ? "not_assigned" : refusal.code;
  const target = { type: "server", name: context.maskName(name) } as const;
  const draft = toDraft(subject, { event: "session.open", time: context.clock.now(), target });
  try {
    await recordDenial(context, { draft, reason, server: known.server?.name, keyId: known.keyId });
  } catch (error) {
    context.onProblem("a denial could not be recorded", error);
    return respondProblem(response, {
      status: 503,
      code: "unavailable",
      message: "the gateway cannot record now; try again later",
    });
  }
  respondProblem(response, answer);
}

function isStillAllowed({ agentId, serverId, keyId }: Session, snapshot: Snapshot): boolean {
  const agent = snapshot.agentById.get(agentId);
  const key = snapshot.keyById.get(keyId);
  const status = snapshot.serverById.get(serverId)?.server.status;
  return (
    agent?.agent.status === "active" &&
    agent.assignmentByServerId.has(serverId) &&
    status === "active" &&
    key?.revoked === null
  );
}

/** `previous` still knows an agent or a server that was deleted. */
function endForbidden(context: GatewayContext, session: Session, previous: Snapshot): void {
  context.sessions.end(session);
  context.upstreams.endSession(session, session.upstreamId);
  recordEnd(context, session, { reason: "access_ended", snapshot: previous });
}
