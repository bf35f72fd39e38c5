import { TransientMap } from "../../lib/transient-map.ts";
import {
  memberOf,
  valueAt,
  type Envelope,
  type NotificationEnvelope,
  type RequestEnvelope,
  type ResponseEnvelope,
  type RpcId,
} from "../envelope/envelope.ts";
import { messageEvent } from "../sse.ts";
import type { UpstreamCall, UpstreamFault, UpstreamSink } from "../upstream.ts";
import { Backlog } from "./backlog.ts";
import { parseMessage, UNREADABLE_ANSWER, type ChannelListener, type MessageChannel } from "./message-channel.ts";
import { OpenRequest } from "./open-request.ts";
import { refusedAnswerIn } from "./refused-message.ts";

const NEWS = /\/(?:list_changed|updated)$/;
const STREAM_HEADERS = { "content-type": "text/event-stream" };

interface CallSteps {
  readonly start: () => void;
  /** What was given up before it started was never sent. */
  readonly abort: (hasStarted: boolean) => void;
}

/**
 * One session with a server that speaks in single messages, seen from the gateway as streamable HTTP. Messages keep their bytes;
 * nothing is built from them and written again.
 */
export class BridgedSession implements ChannelListener {
  readonly id: string;
  lastUsedAt: number;
  readonly #channel: MessageChannel;
  readonly #onClosed: () => void;
  readonly #open = new TransientMap<RpcId, OpenRequest>();
  readonly #backlog = new Backlog();
  /** Whose clients do not keep up: while there is one, the channel waits. */
  readonly #slow = new Set<UpstreamSink>();
  #stream: UpstreamSink | undefined;
  #fault: UpstreamFault | undefined;

  constructor(
    id: string,
    now: number,
    { connect, onClosed }: { connect: (listener: ChannelListener) => MessageChannel; onClosed: () => void },
  ) {
    this.id = id;
    this.lastUsedAt = now;
    this.#onClosed = onClosed;
    this.#channel = connect(this);
  }

  get isBusy(): boolean {
    return this.#open.size > 0 || this.#stream !== undefined;
  }

  /** Sends a message of the client on. */
  post(envelope: Envelope, sink: UpstreamSink): UpstreamCall {
    return this.#begin(sink, {
      start: () => {
        if (envelope.kind === "request") return this.#startRequest(envelope, sink);
        this.#channel.send(envelope.bytes);
        if (envelope.kind === "notification") this.#takeBack(envelope);
        sink.head(202, {}, true);
        sink.end();
      },
      abort: (hasStarted) => {
        if (hasStarted) this.#cancel(envelope, sink);
        else if (isOpening(envelope)) this.end();
      },
    });
  }

  /** The stream for what the server says on its own. A later one takes the place of an earlier. */
  listen(sink: UpstreamSink): UpstreamCall {
    return this.#begin(sink, {
      start: () => {
        if (this.#fault !== undefined) return sink.fail(this.#fault);
        this.#endStream();
        this.#stream = sink;
        sink.head(200, STREAM_HEADERS, true);
        for (const message of this.#backlog.take()) sink.data(messageEvent(message));
      },
      abort: () => {
        if (this.#stream === sink) this.#stream = undefined;
      },
    });
  }

  /** Ends the session and everything that is open in it; `text` says why. */
  end(text = "the session was ended"): void {
    this.#channel.close();
    this.closed({ kind: "reset", text });
  }

  message(bytes: Buffer): void {
    const envelope = parseMessage(bytes);
    if (envelope === undefined) return this.#refuse(bytes);
    if (envelope.kind === "response") return this.#answer(envelope);
    this.#tell(envelope);
  }

  closed(fault: UpstreamFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    this.#onClosed();
    for (const request of this.#open.values()) request.fail(fault);
    this.#open.clear();
    this.#endStream();
  }

  #begin(sink: UpstreamSink, { start, abort }: CallSteps): UpstreamCall {
    let hasStarted = false;
    let isAborted = false;
    // The caller has to have the call before its sink hears anything.
    queueMicrotask(() => {
      if (isAborted) return;
      hasStarted = true;
      try {
        start();
      } catch (cause) {
        sink.fail({ kind: "refused", text: "it could not be asked", cause });
      }
    });
    return {
      abort: () => {
        isAborted = true;
        abort(hasStarted);
        this.#keepsUp(sink);
      },
      pause: () => {
        this.#slow.add(sink);
        this.#channel.pause();
      },
      resume: () => this.#keepsUp(sink),
    };
  }

  /** A slow call holds up the channel, which it shares with all others of the session, but never beyond its own end. */
  #keepsUp(sink: UpstreamSink): void {
    if (this.#slow.delete(sink) && this.#slow.size === 0) this.#channel.resume();
  }

  #endStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined) return;
    stream.end();
    this.#keepsUp(stream);
  }

  #startRequest(envelope: RequestEnvelope, sink: UpstreamSink): void {
    if (this.#fault !== undefined) return sink.fail(this.#fault);
    if (this.#open.has(envelope.id))
      return sink.fail({ kind: "refused", text: "a request with this id is still open" });
    this.#open.set(envelope.id, new OpenRequest(envelope, sink, this.id));
    this.#channel.send(envelope.bytes);
  }

  #answer(envelope: ResponseEnvelope): void {
    const request = envelope.id === null ? undefined : this.#open.get(envelope.id);
    if (request === undefined) return;
    request.answer(envelope);
    this.#finish(request);
    if (request.isOpening && envelope.error !== undefined) this.end();
  }

  /** Nobody can read the answer, and no other comes. */
  #refuse(bytes: Buffer): void {
    const answer = refusedAnswerIn(bytes);
    if (answer === undefined) return;
    const [oldest] = this.#open.values();
    const request = answer.id === undefined ? oldest : this.#open.get(answer.id);
    if (request === undefined) return;
    this.#open.delete(request.id);
    request.fail(UNREADABLE_ANSWER);
    this.#keepsUp(request.sink);
    if (request.isOpening) this.end();
  }

  /** The client waits for nothing more, and a server that hears of it in time does not answer. */
  #takeBack({ method, bytes, params }: NotificationEnvelope): void {
    if (method !== "notifications/cancelled") return;
    const id = valueAt(bytes, memberOf(params, "requestId"));
    const request = typeof id === "string" || typeof id === "number" ? this.#open.get(id) : undefined;
    if (request === undefined) return;
    this.#finish(request, "cancelled");
    if (request.isOpening) this.end();
  }

  #finish(request: OpenRequest, how?: "cancelled"): void {
    // It may have been given up over its answer.
    if (!this.#open.delete(request.id)) return;
    request.end(how);
    this.#keepsUp(request.sink);
  }

  /**
   * A message says at most by its progress token which request it belongs to. What belongs to none that is known goes where
   * the client certainly listens: the request that is open longest, but news that concern no request to the standing stream.
   */
  #tell(envelope: NotificationEnvelope | RequestEnvelope): void {
    const isNews = envelope.kind === "notification" && NEWS.test(envelope.method);
    const request = this.#requestOf(envelope);
    if (request !== undefined && !(isNews && this.#stream !== undefined)) request.tell(envelope.bytes);
    else if (this.#stream !== undefined && !isProgress(envelope)) this.#stream.data(messageEvent(envelope.bytes));
    else this.#backlog.add(envelope.bytes);
  }

  #requestOf(envelope: NotificationEnvelope | RequestEnvelope): OpenRequest | undefined {
    if (!isProgress(envelope)) return this.#open.values().next().value;
    const token = valueAt(envelope.bytes, memberOf(envelope.params, "progressToken"));
    return [...this.#open.values()].find(({ progressToken }) => progressToken === token);
  }

  /** The client has gone: the server is told, because on this transport a closed connection tells it nothing. */
  #cancel(envelope: Envelope, sink: UpstreamSink): void {
    const request = envelope.kind === "request" ? this.#open.get(envelope.id) : undefined;
    if (envelope.kind !== "request" || request?.sink !== sink) return;
    request.drop();
    this.#open.delete(envelope.id);
    if (isOpening(envelope)) return this.end();
    const params = { requestId: envelope.id, reason: "the client has gone" };
    this.#channel.send(Buffer.from(JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params })));
  }
}

function isOpening(envelope: Envelope): boolean {
  return envelope.kind === "request" && envelope.method === "initialize";
}

function isProgress({ method }: NotificationEnvelope | RequestEnvelope): boolean {
  return method === "notifications/progress";
}
