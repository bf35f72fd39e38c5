import type { IncomingMessage, ServerResponse } from "node:http";
import { newId } from "../lib/ids.ts";
import { challengeOf, recheck, type AccessRefusal } from "./access.ts";
import type { GatewayContext } from "./context.ts";
import type { Caller } from "./decide.ts";
import { mayListOtherwise } from "./rights-change.ts";
import { beginStream } from "./event-stream.ts";
import { healthOf, isMereEnd, refusalOf, sentAndCutOff, sentUnrecordedRefusal, unreadRefusal } from "./fault-report.ts";
import { countedBytes } from "./held-bytes.ts";
import { listChanges } from "./list-changes.ts";
import { messageEvent } from "./sse.ts";
import { cutOffStalled } from "./http/cut-off-stalled.ts";
import { errorMessage, respondEmpty, respondJson, respondProblem, respondRefusal } from "./http/respond.ts";
import type { LiveExchange } from "./live-exchanges.ts";
import type { ParentCall } from "./parent-call.ts";
import type { PendingCall } from "./pending-call.ts";
import { RpcRefusal, unrecordedRefusal } from "./rpc-refusal.ts";
import type { HandleScope } from "./seal.ts";
import type { Session } from "./sessions.ts";
import { suspend } from "./suspended-calls.ts";
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamRequest, UpstreamSink } from "./upstream.ts";

/** More than a socket takes at once means a client that does not read. */
const UNREAD_BYTES_MAX = 64 * 1024;

/** One HTTP request of a client with what it causes upstream. Ends both sides together, whichever ends first. */
export class Exchange implements LiveExchange {
  readonly context: GatewayContext;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  receivedAt = performance.now();
  caller: Caller;
  session: Session | undefined;
  pending: PendingCall | undefined;
  /** The call of the gateway itself that this message belongs to. */
  readonly parent: ParentCall | undefined;
  /** Whether the gateway's own client, who sent this message, can pass on a tool's result; undefined for an agent's own messages. */
  readonly isToolResult: ((result: unknown, isModern: boolean) => boolean) | undefined;
  /** The id of the request that is answered, as written; `null` until a request was read. */
  idText = "null";
  /** Which call the event ids of this stream belong to: by it the call is found again when the client resumes. */
  callKey: string | undefined;
  /** The head of an event stream has left. */
  isStream = false;
  /** The head of an event stream has left before the call did: whatever answers it comes as an event. */
  #isAnswerStream = false;
  #call: UpstreamCall | undefined;
  #isOver = false;
  #sentAt = 0;
  #isPaused = false;
  #heldBytes = 0;

  constructor(
    context: GatewayContext,
    http: { request: IncomingMessage; response: ServerResponse; inner?: Pick<Exchange, "parent" | "isToolResult"> },
    caller: Caller,
  ) {
    this.context = context;
    this.request = http.request;
    this.response = http.response;
    this.caller = caller;
    this.parent = http.inner?.parent;
    this.isToolResult = http.inner?.isToolResult;
    context.exchanges.add(this);
    http.response.on("close", () => this.#closed());
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isCall(): boolean {
    return this.request.method !== "GET";
  }

  get scope(): HandleScope {
    return { agentId: this.caller.agent.agent.id, serverId: this.caller.server.server.id };
  }

  get upstream(): Upstream {
    return this.context.upstreams.of(this.caller.server, this.scope);
  }

  /** The caller as of now, after something was waited for. False where it lost its right: the client has been told. */
  refresh(): boolean {
    if (this.#isOver) return false;
    const access = recheck(this.caller, this.context.liveView.current, this.context.clock.now());
    if (access.ok) {
      this.caller = access.caller;
      return true;
    }
    this.forbid(access.refusal);
    return false;
  }

  renew(caller: Caller): void {
    const hasNewRights = mayListOtherwise(this.caller, caller);
    this.caller = caller;
    if (hasNewRights) this.#tellListsChanged();
  }

  #tellListsChanged(): void {
    const { response } = this;
    if (!response.headersSent || response.writableEnded || response.destroyed) return;
    if (response.writableLength > UNREAD_BYTES_MAX) return;
    for (const message of listChanges(this)) response.write(messageEvent(message));
  }

  send(request: UpstreamRequest, sink: UpstreamSink): void {
    this.pending?.markSent();
    this.#sentAt = performance.now();
    this.#call = this.upstream.send(request, sink);
    if (this.#isOver) this.#call.abort();
  }

  /** The upstream has answered: the time to its head says how it fares. */
  noteHealthy(): void {
    const latencyMs = Math.round(performance.now() - this.#sentAt);
    this.context.observer?.health(this.caller.server.server.id, { state: "ok", latencyMs, error: null });
  }

  pause(): void {
    this.#isPaused = true;
    this.#call?.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    // First: what comes at once may pause it again.
    this.#isPaused = false;
    this.#call?.resume();
  }

  /** Nothing more is wanted of the upstream's answer. */
  stopAnswer(): void {
    this.#call?.abort();
  }

  forbid(refusal: AccessRefusal): void {
    if (this.#isOver) return;
    this.pending?.settle({ outcome: "error", reason: refusal.code });
    this.#call?.abort();
    const { response } = this;
    const told = this.#call === undefined || !this.isCall ? refusal : sentAndCutOff(refusal, this.correlationId);
    // What a client has not taken yet it does not get: the connection closes now, not when it cares to read.
    if (response.writableLength > UNREAD_BYTES_MAX) response.destroy();
    else if (response.headersSent) this.refuse(RpcRefusal.cutOff({ data: undefined, ...told }));
    else {
      // Part of the request may be unread: this connection takes no other, and the client is told so in the head. A stream that
      // ends cleanly keeps its connection: the client has it back in its pool and sends its next message on it.
      response.shouldKeepAlive = false;
      respondProblem(response, { ...told, headers: challengeOf(refusal) });
    }
    this.#over();
  }

  /** The upstream let us down: the client gets one clear error, the log the reason. */
  fail(fault: UpstreamFault): void {
    if (this.#isOver) return;
    if (this.pending?.isCancelled === true && isMereEnd(fault, this.response)) return this.endCancelled();
    const { server } = this.caller.server;
    this.#call?.abort();
    this.pending?.markAnswered();
    this.pending?.settle({ outcome: "error", reason: `upstream_${fault.kind}`, details: { fault: fault.text } });
    this.context.metrics?.upstreamFailed(server.name, fault.kind);
    this.context.observer?.health(server.id, healthOf(fault));
    this.context.onProblem(`server \`${server.name}\`: ${fault.text}`, fault.cause);
    const refusal = refusalOf(fault, { serverName: server.name, correlationId: this.correlationId });
    // An upstream may fail before the decision is on the disk.
    this.whenDurable(() => this.refuse(refusal));
  }

  /** The server has stopped working on what the client took back, as it should: it gives no answer, and that is no fault. */
  endCancelled(): void {
    this.#call?.abort();
    this.pending?.settle({ outcome: "error", reason: "client_cancelled" });
    this.whenDurable(() => (this.response.headersSent ? this.end() : respondEmpty(this.response, 202)));
  }

  /** Too much waits in memory for clients to take it. That is no fault of the server's: only the agent and the log are told. */
  failUnread(): void {
    if (this.#isOver) return;
    this.#call?.abort();
    this.pending?.settle({ outcome: "error", reason: "unread_answers" });
    this.whenDurable(() => this.refuse(unreadRefusal(this.correlationId)));
  }

  /** Answers with an error of our own, in whatever form the answer has begun. */
  refuse(refusal: RpcRefusal): void {
    const { response, idText } = this;
    if (response.destroyed || response.writableEnded) return;
    if (!response.headersSent) return respondRefusal(response, refusal, idText);
    if (this.pending === undefined && !this.#isAnswerStream) return this.end();
    this.end(messageEvent(errorMessage(idText, refusal)));
  }

  /** Answers with one message of JSON, in whatever form the answer has begun. */
  answer(
    body: Buffer,
    { status = 200, headers = {} }: { status?: number; headers?: Readonly<Record<string, string>> } = {},
  ): void {
    const { response, context } = this;
    if (this.#isAnswerStream && (response.destroyed || response.writableEnded)) return;
    if (this.#isAnswerStream) return this.end(messageEvent(body));
    respondJson(response, { status, body, headers });
    cutOffStalled(response, context.limits);
  }

  /** Ends the stream of events that the answer has begun as, with a last one if there is one. */
  end(last?: Buffer): void {
    this.response.end(last);
    cutOffStalled(this.response, this.context.limits);
  }

  /** Sends an event before the answer, which then comes as one too. */
  writeEvent(event: Buffer): void {
    const { response } = this;
    if (response.destroyed || response.writableEnded) return;
    beginStream(this);
    this.#isAnswerStream = true;
    response.write(event);
  }

  /** Runs `work` once the decision is on disk, at once where it is; never where it cannot be recorded. */
  whenDurable(work: () => void): void {
    const { pending } = this;
    if (pending === undefined || pending.isDurable) return this.#attempt(work);
    pending.durable.then(
      () => {
        if (!this.#isOver) this.#attempt(work);
      },
      (error: unknown) => this.unrecorded(error),
    );
    this.context.audit.hurry();
  }

  /** Whoever called us, the upstream's connection or the log, can do nothing about a mistake of ours: the client must not wait for ever. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.context.onProblem("an answer could not be given", error);
      this.pending?.settle({ outcome: "error", reason: "internal" });
      this.#call?.abort();
      this.response.destroy();
    }
  }

  /** The log cannot be written: nothing more is sent, and nothing is answered that it does not hold. */
  unrecorded(cause: unknown): void {
    // The call itself may be on record; what came of it is not, and it must not stay open.
    this.pending?.settle({ outcome: "error", reason: "unavailable" });
    this.#call?.abort();
    this.context.onProblem("a decision could not be recorded", cause);
    this.refuse(this.#call === undefined ? unrecordedRefusal() : sentUnrecordedRefusal(this.correlationId));
  }

  /** Notes the session that the answer to `initialize` opens; its sealed id goes into the head of our answer. */
  openSession(upstreamId: string | undefined): void {
    const { pending } = this;
    if (upstreamId === undefined || pending?.facts.envelope.method !== "initialize") return;
    const id = pending.draft?.sessionId ?? newId();
    const { key, client } = this.caller;
    this.session = this.context.sessions.open(this.scope, { id, upstreamId, keyId: key.id, client });
  }

  get answerHeaders(): Readonly<Record<string, string>> {
    const isOpening = this.pending?.facts.envelope.method === "initialize" && this.session !== undefined;
    return isOpening && this.session !== undefined ? { "mcp-session-id": this.session.sealed } : {};
  }

  /** Says how many bytes of its message or its answer are in memory by now. False where the agent's, or all together, are too many. */
  hold(bytes: number): boolean {
    const counted = countedBytes(bytes);
    const more = counted - this.#heldBytes;
    // What has ended holds nothing, whoever still says so.
    if (more === 0 || this.#isOver) return true;
    this.#heldBytes = counted;
    return this.context.heldBytes.add(this.caller.agent.agent.id, more);
  }

  get correlationId(): string | undefined {
    return this.pending?.draft?.correlationId;
  }

  #closed(): void {
    if (this.#isOver) return;
    // Before 2026-07-28 a lost connection is no cancellation. The gateway's own clients lose none: they close it.
    if (!this.response.writableFinished && (this.isToolResult !== undefined || !suspend(this)))
      this.pending?.settle({ outcome: "error", reason: "client_disconnected" });
    this.#call?.abort();
    this.#over();
  }

  #over(): void {
    this.hold(0);
    this.#isOver = true;
    this.context.exchanges.remove(this);
  }
}
