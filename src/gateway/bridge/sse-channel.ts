import { one } from "../http/request-headers.ts";
import { SseOverflowError, SseParser } from "../sse.ts";
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamSink } from "../upstream.ts";
import { MESSAGE_BYTES_MAX, type ChannelListener, type MessageChannel } from "./message-channel.ts";
import { WAITING_BYTES_MAX, WaitingMessages } from "./waiting-messages.ts";

/** Reaches addresses of one server with its credential. */
export type ReachUrl = (url: URL) => Upstream;

/** The endpoint is the first event, and a server that has sent its head knows it. */
const ENDPOINT_MS = 10_000;

/** The HTTP with SSE transport of 2024-11-05: one stream down, whose first event says where messages go up. */
export class SseChannel implements MessageChannel, UpstreamSink {
  readonly #url: URL;
  readonly #reach: ReachUrl;
  readonly #listener: ChannelListener;
  readonly #parser = new SseParser(MESSAGE_BYTES_MAX);
  readonly #stream: UpstreamCall;
  readonly #waiting = new WaitingMessages();
  #endpoint: Upstream | undefined;
  #endpointTimer: NodeJS.Timeout | undefined;
  /** Of messages that were sent up and not yet taken. */
  #untakenBytes = 0;
  #isClosed = false;

  constructor(url: URL, reach: ReachUrl, listener: ChannelListener) {
    this.#url = url;
    this.#reach = reach;
    this.#listener = listener;
    this.#stream = reach(url).send({ method: "GET", headers: ["accept", "text/event-stream"] }, this);
  }

  send(message: Buffer, onTaken?: () => void): void {
    if (this.#isClosed) return onTaken?.();
    if (this.#endpoint !== undefined) return this.#post(this.#endpoint, message, onTaken);
    if (this.#waiting.add(message, onTaken)) return;
    onTaken?.();
    this.fail({ kind: "unavailable", text: "it takes too long to name its endpoint" });
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#endpointTimer);
    this.#waiting.drop();
    this.#stream.abort();
  }

  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    if (status === 401 || status === 403)
      return this.fail({ kind: "credential", text: `it refused the gateway's credential (HTTP ${status})` });
    const isStream = one(headers["content-type"])?.startsWith("text/event-stream") === true;
    if (status !== 200 || !isStream)
      return this.fail({ kind: "refused", text: `it gave no event stream (HTTP ${status})` });
    const fault = { kind: "timeout", text: "it named no endpoint for messages" } as const;
    this.#endpointTimer = setTimeout(() => this.fail(fault), ENDPOINT_MS);
  }

  data(chunk: Buffer): void {
    try {
      for (const { type, data } of this.#parser.push(chunk)) {
        if (this.#isClosed) return;
        if (type === "endpoint") this.#connect(data?.toString("utf8") ?? "");
        else if (data !== undefined && (type === undefined || type === "message")) this.#listener.message(data);
      }
    } catch (error) {
      if (!(error instanceof SseOverflowError)) throw error;
      this.fail({ kind: "refused", text: "a message of it is too large" });
    }
  }

  end(): void {
    this.fail({ kind: "reset", text: "its event stream ended" });
  }

  fail(fault: UpstreamFault): void {
    if (this.#isClosed) return;
    this.close();
    this.#listener.closed(fault);
  }

  #connect(endpoint: string): void {
    const url = URL.canParse(endpoint, this.#url.href) ? new URL(endpoint, this.#url) : undefined;
    // The credential goes to the registered origin and nowhere else, whatever the stream says.
    if (url?.origin !== this.#url.origin)
      return this.fail({ kind: "refused", text: "its message endpoint is elsewhere" });
    clearTimeout(this.#endpointTimer);
    this.#endpoint = this.#reach(url);
    for (const { message, onTaken } of this.#waiting.take()) this.send(message, onTaken);
  }

  #post(endpoint: Upstream, message: Buffer, onTaken: (() => void) | undefined): void {
    if (this.#untakenBytes + message.length > WAITING_BYTES_MAX) {
      onTaken?.();
      return this.fail({ kind: "refused", text: "it does not take its messages" });
    }
    this.#untakenBytes += message.length;
    const headers = ["content-type", "application/json"];
    const sent = new SentMessage((fault) => {
      this.#untakenBytes -= message.length;
      onTaken?.();
      if (fault !== undefined) this.fail(fault);
    });
    endpoint.send({ method: "POST", headers, body: message }, sent);
  }
}

/** The answer to a message sent up says only whether it was taken. */
class SentMessage implements UpstreamSink {
  readonly #onDone: (fault: UpstreamFault | undefined) => void;
  #isDone = false;

  /** `onDone` is called once. */
  constructor(onDone: (fault: UpstreamFault | undefined) => void) {
    this.#onDone = onDone;
  }

  head(status: number): void {
    if (status >= 300) this.#finish({ kind: "refused", text: `it did not take a message (HTTP ${status})` });
  }

  data(): void {
    // Usually the word `Accepted`.
  }

  end(): void {
    // Taken; the answer comes on the stream.
    this.#finish(undefined);
  }

  fail(fault: UpstreamFault): void {
    this.#finish(fault);
  }

  #finish(fault: UpstreamFault | undefined): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#onDone(fault);
  }
}
