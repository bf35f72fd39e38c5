import { TransientMap } from "../../lib/transient-map.ts";
import {
  memberOf,
  membersAt,
  textAt,
  valueAt,
  type NotificationEnvelope,
  type RequestEnvelope,
  type RpcId,
} from "../envelope/envelope.ts";
import type { Member, Span } from "../envelope/json-scanner.ts";
import { errorMessage } from "../http/respond.ts";
import { RPC_CODES } from "../rpc-refusal.ts";
import { splice, type Edit } from "../splice.ts";
import type { UpstreamFault } from "../upstream.ts";
import { parseMessage, UNREADABLE_ANSWER, type ChannelListener } from "./message-channel.ts";
import { refusedAnswerIn } from "./refused-message.ts";
import { StdioChannel, type BridgedChild } from "./stdio-channel.ts";

/** One session's place at a child that it shares. */
export interface Seat {
  readonly listener: ChannelListener;
  readonly subscriptions: Set<string>;
}

interface SentRequest {
  readonly seat: Seat;
  readonly id: RpcId;
  readonly idText: string;
  /** As written; undefined where the client gave none. */
  readonly tokenText: string | undefined;
}

const OPENING_ID = 0;
/** More than a client can watch, less than what hurts those it shares the child with. */
const SUBSCRIPTIONS_MAX = 1000;

/**
 * The messages of many sessions over one child. Each request gets an id and a progress token of ours on the way, so that no
 * session ever sees what belongs to another's. The child is told that its client can do nothing: it could not know whom it asks.
 */
export class SharedWire implements ChannelListener {
  readonly child: BridgedChild;
  readonly #channel: StdioChannel;
  readonly #seats = new Set<Seat>();
  readonly #open = new TransientMap<number, SentRequest>();
  readonly #opened = Promise.withResolvers<string>();
  readonly #onProblem: (text: string) => void;
  #isOpened = false;
  #lastId = OPENING_ID;
  #fault: UpstreamFault | undefined;

  constructor(child: BridgedChild, protocolVersion: string, onProblem: (text: string) => void) {
    this.child = child;
    this.#onProblem = onProblem;
    this.#channel = new StdioChannel(Promise.resolve(child), this);
    const params = { protocolVersion, capabilities: {}, clientInfo: { name: "runlayer", version: "1" } };
    this.#say({ jsonrpc: "2.0", id: OPENING_ID, method: "initialize", params });
    // Each session hears of the fault by its listener.
    this.#opened.promise.catch(() => undefined);
  }

  join(listener: ChannelListener): Seat {
    const seat = { listener, subscriptions: new Set<string>() };
    if (this.#fault === undefined) this.#seats.add(seat);
    else queueMicrotask(() => listener.closed(this.#fault ?? { kind: "reset", text: "its process ended" }));
    return seat;
  }

  /** What the session still waits for is cancelled, what only it subscribed to is given up; the child goes on for the others. */
  leave(seat: Seat): void {
    if (!this.#seats.delete(seat)) return;
    for (const [id, request] of this.#open.entries())
      if (request.seat === seat) this.#cancel(id, "the client has gone");
    for (const uri of seat.subscriptions) if (!this.#isSubscribed(uri)) this.#unsubscribe(uri);
  }

  /** Sends what a session says; `bytes` is one JSON-RPC message that was parsed before. `onTaken` is as for every channel. */
  send(seat: Seat, bytes: Buffer, onTaken?: () => void): void {
    const envelope = parseMessage(bytes);
    const request = envelope?.kind === "request" ? this.#request(seat, envelope) : undefined;
    if (request !== undefined) return this.#channel.send(request, onTaken);
    onTaken?.();
    if (envelope?.kind === "notification") this.#notify(seat, envelope);
    // The child asks no session anything, so that there is nothing to answer.
  }

  message(bytes: Buffer): void {
    const envelope = parseMessage(bytes);
    if (envelope === undefined) return this.#refuse(bytes);
    if (envelope.kind === "notification") return this.#tell(envelope);
    if (envelope.kind === "request") return this.#answerFor(envelope);
    if (envelope.id === OPENING_ID) return this.#finishOpening(bytes, envelope.result);
    const request = typeof envelope.id === "number" ? this.#open.get(envelope.id) : undefined;
    if (request === undefined) return;
    this.#open.delete(Number(envelope.id));
    request.seat.listener.message(withId(bytes, request.idText));
  }

  closed(fault: UpstreamFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    this.#opened.reject(new Error(fault.text));
    const seats = [...this.#seats];
    this.#seats.clear();
    this.#open.clear();
    for (const { listener } of seats) listener.closed(fault);
  }

  #finishOpening(bytes: Buffer, result: Span | undefined): void {
    if (result === undefined) return this.#giveUp({ kind: "refused", text: "it refused to open a session" });
    this.#isOpened = true;
    this.#say({ jsonrpc: "2.0", method: "notifications/initialized" });
    this.#opened.resolve(bytes.toString("utf8", result.start, result.end));
  }

  #giveUp(fault: UpstreamFault): void {
    this.#channel.close();
    this.closed(fault);
  }

  /** Only whose request is answered hears of an answer that cannot be read. */
  #refuse(bytes: Buffer): void {
    const answer = refusedAnswerIn(bytes);
    if (answer === undefined) return;
    const id = answer.id ?? this.#onlyOpen();
    if (id === undefined)
      return this.#onProblem("an answer that nobody can read, and that may be any session's, was dropped");
    if (id === OPENING_ID && !this.#isOpened) return this.#giveUp(UNREADABLE_ANSWER);
    const request = typeof id === "number" ? this.#open.get(id) : undefined;
    if (request === undefined) return;
    this.#open.delete(Number(id));
    // Its session refuses this as it would have refused the answer itself.
    request.seat.listener.message(Buffer.from(`{"jsonrpc":"2.0","id":${request.idText}}`));
  }

  /** What an answer that names nothing is to: the oldest request, unless it could be another session's. */
  #onlyOpen(): number | undefined {
    if (!this.#isOpened) return OPENING_ID;
    const [oldest] = this.#open.entries();
    const isOnes = [...this.#open.values()].every(({ seat }) => seat === oldest?.[1].seat);
    return isOnes ? oldest?.[0] : undefined;
  }

  /** What the child gets in its place; undefined where the session is answered without it. */
  #request(seat: Seat, envelope: RequestEnvelope): Buffer | undefined {
    if (envelope.method === "initialize") {
      this.#openFor(seat, envelope);
      return undefined;
    }
    const kept = this.#keepSubscription(seat, envelope);
    if (kept !== undefined) {
      seat.listener.message(kept);
      return undefined;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const { bytes } = envelope;
    const token = memberOf({ members: membersAt(bytes, memberOf(envelope.params, "_meta")) }, "progressToken");
    const tokenText = token === undefined ? undefined : bytes.toString("utf8", token.start, token.end);
    this.#open.set(id, { seat, id: envelope.id, idText: envelope.idText, tokenText });
    const edits: Edit[] = token === undefined ? [] : [{ start: token.start, end: token.end, text: String(id) }];
    return withId(bytes, String(id), edits);
  }

  /** The child was opened once; every session gets what it said then. */
  #openFor(seat: Seat, envelope: RequestEnvelope): void {
    this.#opened.promise.then(
      (result) => this.#answer(seat, envelope, result),
      () => {
        // The listener has heard of it.
      },
    );
  }

  #answer({ listener }: Seat, { idText }: RequestEnvelope, result: string): void {
    listener.message(resultMessage(idText, result));
  }

  /** Keeps the subscriptions. Gives the answer to one too many, and to the end of one that another session still has. */
  #keepSubscription({ subscriptions }: Seat, { method, bytes, params, idText }: RequestEnvelope): Buffer | undefined {
    const uri = textAt(bytes, memberOf(params, "uri"));
    if (uri === undefined) return undefined;
    if (method === "resources/subscribe") {
      if (subscriptions.size >= SUBSCRIPTIONS_MAX && !subscriptions.has(uri)) return tooManySubscriptions(idText);
      subscriptions.add(uri);
    }
    if (method !== "resources/unsubscribe") return undefined;
    subscriptions.delete(uri);
    return this.#isSubscribed(uri) ? resultMessage(idText, "{}") : undefined;
  }

  #isSubscribed(uri: string): boolean {
    return [...this.#seats].some(({ subscriptions }) => subscriptions.has(uri));
  }

  /** Nobody waits for the answer. */
  #unsubscribe(uri: string): void {
    this.#lastId += 1;
    this.#say({ jsonrpc: "2.0", id: this.#lastId, method: "resources/unsubscribe", params: { uri } });
  }

  #notify(seat: Seat, { method, bytes, params }: NotificationEnvelope): void {
    if (method !== "notifications/cancelled") return;
    const requestId = valueAt(bytes, memberOf(params, "requestId"));
    for (const [id, request] of this.#open.entries())
      if (request.seat === seat && request.id === requestId) this.#cancel(id, "the client cancelled it");
  }

  #cancel(requestId: number, reason: string): void {
    this.#open.delete(requestId);
    this.#say({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } });
  }

  /**
   * Progress goes to whom it belongs, changes to whom they concern, and everything else to nobody: even an only session may hear
   * what the child has to say of one that left.
   */
  #tell({ method, bytes, params }: NotificationEnvelope): void {
    if (method === "notifications/progress") return this.#tellProgress(bytes, params);
    const uri = textAt(bytes, memberOf(params, "uri"));
    const isForAll = method.endsWith("/list_changed");
    for (const seat of this.#seats) {
      const isSubscribed = method === "notifications/resources/updated" && seat.subscriptions.has(uri ?? "");
      if (isForAll || isSubscribed) seat.listener.message(bytes);
    }
  }

  #tellProgress(bytes: Buffer, params: Member | undefined): void {
    const token = memberOf(params, "progressToken");
    const id = valueAt(bytes, token);
    const request = typeof id === "number" ? this.#open.get(id) : undefined;
    if (token === undefined || request?.tokenText === undefined) return;
    const edit = { start: token.start, end: token.end, text: request.tokenText };
    request.seat.listener.message(splice(bytes, [edit]));
  }

  #answerFor({ method, idText }: RequestEnvelope): void {
    if (method === "ping") return this.#channel.send(resultMessage(idText, "{}"));
    const message = "this server is shared by several clients, so that none of them can be asked";
    this.#channel.send(errorMessage(idText, { code: RPC_CODES.methodNotFound, message }));
  }

  #say(message: object): void {
    this.#channel.send(Buffer.from(JSON.stringify(message)));
  }
}

function resultMessage(idText: string, result: string): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${idText},"result":${result}}`);
}

function tooManySubscriptions(idText: string): Buffer {
  const message = `a session has at most \`${SUBSCRIPTIONS_MAX}\` subscriptions at this server; unsubscribe from some first`;
  return errorMessage(idText, { code: RPC_CODES.invalidRequest, message });
}

/** The message under another id. */
function withId(bytes: Buffer, text: string, edits: readonly Edit[] = []): Buffer {
  const members = membersAt(bytes, { start: bytes.indexOf("{"), end: bytes.length });
  const at = memberOf({ members }, "id");
  return at === undefined ? bytes : splice(bytes, [...edits, { start: at.start, end: at.end, text }]);
}
