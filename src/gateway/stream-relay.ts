import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { finishAnswer } from "./answer.ts";
import {
  parseUpstreamEnvelope,
  type Envelope,
  type NotificationEnvelope,
  type ResponseEnvelope,
} from "./envelope/envelope.ts";
import { sealEventId } from "./event-ids.ts";
import { beginStream, keepAlive } from "./event-stream.ts";
import type { Exchange } from "./exchange.ts";
import { sealOwnHandles } from "./handles.ts";
import { untilTaken } from "./http/cut-off-stalled.ts";
import { MODERN_VERSION, protocolVersionOf } from "./http/request-headers.ts";
import { errorMessage } from "./http/respond.ts";
import { decideInputRequests } from "./input-requests.ts";
import type { PendingCall } from "./pending-call.ts";
import { RpcRefusal } from "./rpc-refusal.ts";
import { relayServerNotification, relayServerRequest } from "./server-messages.ts";
import { splice } from "./splice.ts";
import { formatSse, SseOverflowError, SseParser, type SseEvent } from "./sse.ts";
import { suspend } from "./suspended-calls.ts";
import type { UpstreamFault } from "./upstream.ts";

/** So much may wait in memory for a slow client before the upstream is told to wait. */
const QUEUE_BYTES_MAX = 256 * 1024;
/** An event takes about so much for itself, whatever it holds. */
const EVENT_BYTES = 256;
/** After so many events of one stream, all other work has its turn. */
const EVENTS_PER_TURN = 64;
const HEAD_DELAY_MS = 20;
/** However many comments a server sends. */
const COMMENT_INTERVAL_MS = 1000;

/**
 * Passes an event stream on, event by event: each message in it is decided, its handles are sealed, and the answer that the
 * stream was opened for ends the call. Holds at most one event beyond its queue, however fast the upstream is.
 */
export class StreamRelay {
  readonly #exchange: Exchange;
  readonly #parser: SseParser;
  readonly #queue: SseEvent[] = [];
  /** Of the queue and of the event that the client is taking. */
  #queuedBytes = 0;
  #isPumping = false;
  #hasEnded = false;
  #hasFailed = false;
  #commentedAt = -Infinity;
  #fault: UpstreamFault | undefined;

  /** `isLate`: the client has waited for its head already. */
  constructor(exchange: Exchange, isLate: boolean) {
    this.#exchange = exchange;
    this.#parser = new SseParser(exchange.context.limits.answerBytesMax);
    // Clients wait for the head to know that they are connected; that of a quick answer leaves together with the answer.
    if (exchange.pending === undefined || isLate) this.#openSoon(0);
    else this.#openSoon(HEAD_DELAY_MS);
  }

  push(chunk: Buffer): void {
    if (this.#hasFailed) return;
    try {
      for (const event of this.#parser.push(chunk)) {
        this.#queue.push(event);
        this.#queuedBytes += sizeOf(event);
      }
    } catch (error) {
      if (!(error instanceof SseOverflowError)) throw error;
      this.#drop();
      return this.#exchange.fail({ kind: "refused", text: "an event of its stream is too large" });
    }
    if (!this.#hold()) {
      this.#drop();
      return this.#exchange.failUnread();
    }
    if (this.#queuedBytes > QUEUE_BYTES_MAX) this.#exchange.pause();
    if (this.#parser.takeComment()) this.#passComment();
    this.#pump();
  }

  end(): void {
    if (this.#hasFailed) return;
    this.#hasEnded = true;
    this.#pump();
  }

  fail(fault: UpstreamFault): void {
    this.#fault = fault;
    this.end();
  }

  /** What waits for the record of the call must not leave in front of the error. */
  #drop(): void {
    this.#hasFailed = true;
    this.#queue.length = 0;
  }

  #hold(): boolean {
    return this.#exchange.hold(this.#queuedBytes + this.#parser.heldBytes);
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#exchange.whenDurable(() => {
      this.#drain().catch((error: unknown) => {
        if (error instanceof AppError && error.code === "unavailable") return this.#exchange.unrecorded(error);
        this.#exchange.fail({ kind: "refused", text: "its stream could not be read", cause: error });
      });
    });
  }

  async #drain(): Promise<void> {
    const { response, context } = this.#exchange;
    beginStream(this.#exchange);
    let relayedEvents = 0;
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      if (this.#exchange.isOver) return;
      const relayed = this.#relay(event);
      const bytes = relayed instanceof Promise ? await relayed : relayed;
      if (this.#exchange.isOver || response.writableEnded) return;
      if (bytes !== undefined && !response.write(bytes)) await untilTaken(response, context.limits);
      this.#queuedBytes -= sizeOf(event);
      this.#hold();
      relayedEvents += 1;
      if (relayedEvents % EVENTS_PER_TURN === 0) await nextTurn();
    }
    this.#isPumping = false;
    if (this.#hasEnded) this.#finish();
    else this.#exchange.resume();
  }

  /** The server keeps its connection open; the client's is another one. */
  #passComment(): void {
    const now = performance.now();
    if (now - this.#commentedAt < COMMENT_INTERVAL_MS) return;
    this.#commentedAt = now;
    keepAlive(this.#exchange);
  }

  #openSoon(delayMs: number): void {
    const open = (): void =>
      this.#exchange.whenDurable(() => {
        beginStream(this.#exchange);
        if (!this.#exchange.response.destroyed) this.#exchange.response.flushHeaders();
      });
    if (delayMs === 0) return open();
    const timer = setTimeout(open, delayMs);
    this.#exchange.response.once("close", () => clearTimeout(timer));
  }

  #relay(event: SseEvent): Buffer | undefined | Promise<Buffer | undefined> {
    const id = this.#sealEventId(event.id);
    const { data: given, retry } = event;
    // No client is told of an event without data: its type says nothing, and may be any text.
    if (given === undefined || given.length === 0) return formatSse({ data: given, id, type: undefined, retry });
    const format = (data: Buffer | undefined): Buffer => formatSse({ data, id, type: event.type, retry });
    if (event.type !== undefined && event.type !== "message") return undefined;
    const relayed = this.#relayMessage(toEnvelope(given));
    // A message that is held back still moves the place from which a client may resume.
    const orPlace = (data: Buffer | undefined): Buffer | undefined =>
      data !== undefined ? format(data) : id === undefined ? undefined : format(Buffer.alloc(0));
    return relayed instanceof Promise ? relayed.then(orPlace) : orPlace(relayed);
  }

  #relayMessage(envelope: Envelope | undefined): Buffer | undefined | Promise<Buffer | undefined> {
    if (envelope === undefined) {
      this.#exchange.fail({ kind: "refused", text: "its stream holds bytes that are no JSON-RPC message" });
      return undefined;
    }
    if (envelope.kind === "response") return this.#relayAnswer(envelope);
    if (envelope.kind === "request") return relayServerRequest(envelope, this.#exchange);
    return this.#relayNotification(envelope);
  }

  #relayNotification(envelope: NotificationEnvelope): Buffer | undefined {
    if (!relayServerNotification(envelope, this.#exchange)) return undefined;
    const edits = sealOwnHandles(envelope, this.#exchange.scope, this.#exchange.context);
    return edits && splice(envelope.bytes, edits);
  }

  #relayAnswer(envelope: ResponseEnvelope): Buffer | undefined | Promise<Buffer> {
    const { pending, context } = this.#exchange;
    const call = this.#takeCall(envelope);
    if (call === undefined) {
      context.onProblem(`server \`${this.#exchange.caller.server.server.name}\`: an answer to no request was dropped`);
      return undefined;
    }
    call.markAnswered();
    const finish = (refusal?: RpcRefusal): Buffer => {
      const { idText } = call.facts.envelope;
      const refused = { end: { outcome: "error", reason: "question_refused" } } as const;
      const { bytes, end } =
        refusal === undefined
          ? finishAnswer(envelope, call, this.#exchange)
          : { ...refused, bytes: errorMessage(idText, refusal) };
      call.settle(end);
      this.#keepAnswered(call);
      return bytes;
    };
    const fail = (error: unknown): never => {
      // A call that waited for a resumed stream is not the exchange's own: whoever answers the fault does not settle it.
      if (call !== pending) call.settle({ outcome: "error", reason: "upstream_refused" });
      throw error;
    };
    try {
      return decideInputRequests(envelope, this.#exchange)?.then(finish).catch(fail) ?? finish();
    } catch (error) {
      return fail(error);
    }
  }

  /** The call that is answered: the exchange's own, or the one whose stream is resumed. */
  #takeCall({ id }: ResponseEnvelope): PendingCall | undefined {
    const { pending, callKey, context } = this.#exchange;
    if (pending !== undefined && !pending.isSettled && id === pending.facts.envelope.id) return pending;
    if (callKey === undefined || id === null) return undefined;
    return context.suspended.take(callKey, id) ?? context.answered.take(callKey, id);
  }

  /** What is written may not arrive: the client comes back for it then, and the server sends the answer again. */
  #keepAnswered(call: PendingCall): void {
    const { callKey, context, scope } = this.#exchange;
    if (callKey !== undefined)
      context.answered.add(callKey, call, { agentId: scope.agentId, now: context.clock.now() });
  }

  #sealEventId(id: string | undefined): string | undefined {
    if (id === undefined || id === "") return id;
    const { pending, request } = this.#exchange;
    // 2026-07-28 knows no resumption: an answer that breaks off there does not come any more.
    if (pending !== undefined && protocolVersionOf(request.headers) !== MODERN_VERSION)
      this.#exchange.callKey ??= newId();
    return sealEventId(id, this.#exchange);
  }

  #finish(): void {
    const { pending } = this.#exchange;
    if (pending === undefined || pending.isSettled || suspend(this.#exchange)) this.#exchange.end();
    else this.#exchange.fail(this.#fault ?? { kind: "reset", text: "the stream ended without an answer" });
  }
}

function sizeOf({ data, id, type, retry }: SseEvent): number {
  return EVENT_BYTES + (data?.length ?? 0) + (id?.length ?? 0) + (type?.length ?? 0) + (retry?.length ?? 0);
}

function toEnvelope(data: Buffer): Envelope | undefined {
  try {
    return parseUpstreamEnvelope(data);
  } catch (error) {
    if (error instanceof RpcRefusal) return undefined;
    throw error;
  }
}
