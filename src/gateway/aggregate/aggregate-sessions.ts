import type { IncomingMessage, ServerResponse } from "node:http";
import { type AuthInfo, isInitializeRequest, isSpecType, type McpServer } from "@modelcontextprotocol/server";
import { newId } from "../../lib/ids.ts";
import { SessionTransport } from "../../lib/session-transport.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { AgentAccess } from "../access.ts";
import { one } from "../http/request-headers.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import { ENDED_BY_ADMINISTRATOR } from "../end-session.ts";
import type { LiveSession } from "../sessions.ts";
import { createAggregateServer, type ServerParts } from "./aggregate-server.ts";
import { askerOf, isStillAllowed, type Connection } from "./connections.ts";
import type { InnerClients } from "./inner-clients.ts";
import { GATEWAY_RESOURCE, toAggregateDraft } from "./record.ts";
import { type SkillAsker, visibleSkills } from "./skill-decision.ts";
import type { ToolNames } from "./tool-naming.ts";
import { recordUnknownMethod } from "./unknown-method.ts";

type Agent = Extract<AgentAccess, { ok: true }>["caller"];

interface Session {
  readonly id: string;
  readonly connection: Connection;
  readonly transport: SessionTransport;
  readonly server: McpServer;
  readonly openedAt: number;
  usedAt: number;
  openRequests: number;
  /** What its lists were made of when they were last told about. */
  lists: string;
}

interface SessionRequest {
  readonly response: ServerResponse;
  readonly body: unknown;
  readonly agent: Agent;
  readonly names: ToolNames;
}

/** Each session holds a client for each server that it used. */
const SESSIONS_MAX = 2000;
/** No agent can take them all; one more ends the one of its own that is idle longest. */
const SESSIONS_PER_AGENT_MAX = 100;
const IDLE_MS_MAX = 60 * 60_000;
/** Changes that may hide something from anybody: whom they concern is found out when a list is asked for. */
const HIDES: ReadonlySet<string> = new Set(["policy", "group", "member", "organization"]);
/** How late the end of a key is noticed, at most. */
const TICK_MS = 5000;

/** Sessions of the 2025 revisions on `/gateway/mcp`. Each is its agent's own, and ends with the agent's right. */
export class AggregateSessions {
  readonly #parts: ServerParts;
  readonly #toClients: (agent: Agent) => InnerClients;
  readonly #sessions = new Map<string, Session>();
  readonly #timer: NodeJS.Timeout;
  readonly #stopFollowing: () => void;
  #tell: () => void = () => undefined;
  #check: () => void = () => undefined;

  constructor(parts: ServerParts, toClients: (agent: Agent) => InnerClients) {
    this.#parts = parts;
    this.#toClients = toClients;
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#stopFollowing = parts.context.liveView.onSwap((next, previous, changes) => {
      // Nobody's rights are known until the view has caught up; sessions go on then.
      if (!next.isBehind)
        this.#follow(
          changes.some(({ kind }) => HIDES.has(kind)),
          previous,
        );
    });
  }

  /** `tell` is called after each change that may change somebody's lists, `check` whenever somebody may have lost its right. */
  onChange({ tell, check }: { tell: () => void; check: () => void }): void {
    this.#tell = tell;
    this.#check = check;
  }

  async handle(
    request: IncomingMessage & { auth: AuthInfo },
    { response, body, agent, names }: SessionRequest,
  ): Promise<void> {
    const isOpening = isInitializeRequest(body);
    const session = isOpening ? await this.#open(agent, names) : this.#find(request, agent);
    // Its `close` is over: nothing would say that the request is. Of a session that it opened nobody knows the id.
    if (response.destroyed) return isOpening ? this.#end(session, "client") : undefined;
    if (session.connection.names !== names)
      throw RpcRefusal.invalidRequest(
        "this session was opened with other `names`; send each request to the same address",
      );
    renew(session.connection, agent);
    session.usedAt = this.#parts.context.clock.now();
    session.openRequests += 1;
    response.once("close", () => {
      session.openRequests -= 1;
    });
    await recordUnknownMethod(body, { agent, sessionId: session.id }, this.#parts.context);
    await session.transport.serve({ request, response, body });
    endCancelled(session, body);
    // A refused `initialize` leaves a transport without a session behind.
    if (session.transport.sessionId === undefined) this.#end(session, "refused");
  }

  list(): readonly LiveSession[] {
    return [...this.#sessions.values()].map(({ id, connection, openedAt, usedAt }) => {
      const { agentId, keyId, client } = connection;
      return { id, agentId, keyId, client, serverId: undefined, openedAt, lastSeenAt: usedAt };
    });
  }

  endById(id: string): boolean {
    const session = this.#sessions.get(id);
    this.#end(session, ENDED_BY_ADMINISTRATOR);
    return session !== undefined;
  }

  /** Ends the streams that stand open without a request of theirs; calls in flight go on. */
  endStreams(): void {
    for (const { transport } of this.#sessions.values()) transport.closeStandaloneSSEStream();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopFollowing();
    for (const session of this.#sessions.values()) this.#end(session, "shutdown");
  }

  async #open(agent: Agent, names: ToolNames): Promise<Session> {
    const { context } = this.#parts;
    const { ip, client, key } = agent;
    const agentId = agent.agent.agent.id;
    this.#makeRoom(agentId);
    const id = newId();
    const connection = { agentId, keyId: key.id, ip, client, sessionId: id, clients: this.#toClients(agent), names };
    const asker = askerOf(connection, context);
    const transport = new SessionTransport({
      sessionIdGenerator: () => id,
      onsessionclosed: () => this.#end(this.#sessions.get(id), "client"),
    });
    const server = createAggregateServer(this.#parts, connection);
    const now = context.clock.now();
    const lists = fingerprint(asker, now);
    const session: Session = { id, connection, transport, server, openedAt: now, usedAt: now, openRequests: 1, lists };
    // Before anything is waited for, so that sessions opened at one time are counted, too.
    this.#sessions.set(id, session);
    try {
      await this.#recordOpen(session, asker);
      // A change may have ended it meanwhile: then this says why. Else the gateway stops, or an administrator ended it.
      if (!this.#sessions.has(id)) {
        askerOf(connection, context);
        throw RpcRefusal.unavailable("the session was ended before it was open; try again in a moment");
      }
      await server.connect(transport);
    } catch (error) {
      this.#forget(session);
      throw error;
    }
    session.openRequests -= 1;
    return session;
  }

  async #recordOpen({ id, openedAt }: Session, asker: SkillAsker): Promise<void> {
    const facts = { event: "session.open", time: openedAt, resource: GATEWAY_RESOURCE, sessionId: id };
    await this.#parts.context.audit.record({ ...toAggregateDraft(asker, facts), outcome: "success" });
  }

  /** Throws `RpcRefusal` where there is no room for one more session of this agent. */
  #makeRoom(agentId: string): void {
    const own = [...this.#sessions.values()].filter(({ connection }) => connection.agentId === agentId);
    const [oldest] = own
      .filter(({ openRequests }) => openRequests === 0)
      .toSorted((left, right) => left.usedAt - right.usedAt);
    const isFull = own.length >= SESSIONS_PER_AGENT_MAX;
    if (isFull && oldest !== undefined) this.#end(oldest, "too_many_sessions");
    else if (isFull)
      throw RpcRefusal.unavailable(`this agent has ${own.length} sessions open, and all are in use; end some of them`);
    if (this.#sessions.size >= SESSIONS_MAX)
      throw RpcRefusal.unavailable("too many sessions are open; try again later");
  }

  #find(request: IncomingMessage, agent: Agent): Session {
    const id = one(request.headers["mcp-session-id"]);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    // Another agent's session looks like one that has ended (MCP: 404, start anew).
    if (session !== undefined && session.connection.agentId === agent.agent.agent.id) return session;
    const isNamed = id !== undefined;
    throw new RpcRefusal({
      status: isNamed ? 404 : 400,
      code: RPC_CODES.invalidRequest,
      message: isNamed
        ? "no such session; start a new one with `initialize`"
        : "no session: begin with `initialize`, then send its `Mcp-Session-Id` with each request",
    });
  }

  #end(session: Session | undefined, reason: string, snapshot = this.#parts.context.liveView.current): void {
    if (session !== undefined && this.#forget(session)) this.#recordEnd(session, reason, snapshot);
  }

  #forget({ id, connection, transport }: Session): boolean {
    if (!this.#sessions.delete(id)) return false;
    connection.clients.close();
    transport.close().catch(() => undefined);
    return true;
  }

  #recordEnd({ connection, openedAt, id }: Session, reason: string, snapshot: Snapshot): void {
    const { clock, audit } = this.#parts.context;
    const agent = snapshot.agentById.get(connection.agentId);
    if (agent === undefined) return;
    const { ip, client } = connection;
    const time = clock.now();
    const facts = { event: "session.end", time, resource: GATEWAY_RESOURCE, sessionId: id, details: { reason } };
    const draft = toAggregateDraft({ snapshot, agent, ip, client }, facts);
    audit.post({ ...draft, outcome: "success", durationMs: time - openedAt });
  }

  #tick(): void {
    const { context } = this.#parts;
    const before = context.clock.now() - IDLE_MS_MAX;
    for (const session of this.#sessions.values()) {
      if (session.openRequests === 0 && session.usedAt < before) this.#end(session, "idle");
      else if (!isStillAllowed(session.connection, context)) this.#end(session, "access_ended");
    }
    this.#check();
  }

  /** After a change: ends what it forbids, and tells who sees something else now. `previous` still knows who was deleted. */
  #follow(mayHide: boolean, previous: Snapshot): void {
    const { context } = this.#parts;
    this.#check();
    for (const session of this.#sessions.values()) {
      if (!isStillAllowed(session.connection, context)) {
        this.#end(session, "access_ended", previous);
        continue;
      }
      const lists = fingerprint(askerOf(session.connection, context), context.clock.now());
      if (lists === session.lists && !mayHide) continue;
      session.lists = lists;
      session.server.sendToolListChanged();
      session.server.sendPromptListChanged();
      session.server.sendResourceListChanged();
    }
    this.#tell();
  }
}

/** A client may move: what is decided for it now counts from where, and under which key, it asks now. */
function renew(connection: Connection, { key, ip, client }: Agent): void {
  Object.assign(connection, { keyId: key.id, ip, client });
  connection.clients.renew({ agentId: connection.agentId, keyId: key.id, ip, client });
}

/** Whatever the lists are made of, as one text, policies apart. */
function fingerprint(asker: SkillAsker, nowMs: number): string {
  const { snapshot, agent } = asker;
  const skills = visibleSkills(asker, nowMs).map(({ skill, serving }) => `${skill.name} ${serving.digest}`);
  const servers = agent.agent.assignments.map((assignment) => {
    const view = snapshot.serverById.get(assignment.serverId);
    const tools = [...(view?.toolByName.values() ?? [])].map(({ name, digest }) => `${name} ${digest}`);
    return [assignment, view?.server.name, view?.server.status, tools];
  });
  return JSON.stringify([skills, servers]);
}

/** A request that its client takes back gets no answer, which alone would end its stream. */
function endCancelled({ transport }: Session, message: unknown): void {
  const requestId = isSpecType.CancelledNotification(message) ? message.params.requestId : undefined;
  if (requestId !== undefined) transport.closeSSEStream(requestId);
}
