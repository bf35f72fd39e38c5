import { one } from "../http/request-headers.ts";
import { SseOverflowError, SseParser } from "../sse.ts";
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamSink } from "../upstream.ts";
import { MESSAGE_BYTES_MAX, type ChannelListener, type MessageChannel } from "./message-channel.ts";

/** Reaches addresses of one server with its credential. */
export type ReachUrl = (url: URL) => Upstream;

/** The HTTP with SSE transport of 2024-11-05: one stream down, whose first event says where messages go up. */
export class SseChannel implements MessageChannel, UpstreamSink {
  readonly #url: URL;
  readonly #reach: ReachUrl;
  readonly #listener: ChannelListener;
  readonly #parser = new SseParser(MESSAGE_BYTES_MAX);
  readonly #stream: UpstreamCall;
  #endpoint: Upstream | undefined;
  #waiting: Buffer[] = [];
  #isClosed = false;

  constructor(url: URL, reach: ReachUrl, listener: ChannelListener) {
    this.#url = url;
    this.#reach = reach;
    this.#listener = listener;
    this.#stream = reach(url).send({ method: "GET", headers: ["accept", "text/event-stream"] }, this);
  }

  send(message: Buffer): void {
    if (this.#isClosed) return;
    if (this.#endpoint === undefined) return void this.#waiting.push(message);
    const headers = ["content-type", "application/json"];
    this.#endpoint.send({ method: "POST", headers, body: message }, new SentMessage((fault) => this.fail(fault)));
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
    this.#stream.abort();
  }

  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    if (status === 401 || status === 403)
      return this.fail({ kind: "credential", text: `it refused the gateway's credential (HTTP ${status})` });
    const isStream = one(headers["content-type"])?.startsWith("text/event-stream") === true;
    if (status !== 200 || !isStream) this.fail({ kind: "refused", text: `it gave no event stream (HTTP ${status})` });
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
    this.#endpoint = this.#reach(url);
    for (const message of this.#waiting) this.send(message);
    this.#waiting = [];
  }
}

/** The answer to a message sent up says only whether it was taken. */
class SentMessage implements UpstreamSink {
  readonly #onFault: (fault: UpstreamFault) => void;

  constructor(onFault: (fault: UpstreamFault) => void) {
    this.#onFault = onFault;
  }

  head(status: number): void {
    if (status >= 300) this.#onFault({ kind: "refused", text: `it did not take a message (HTTP ${status})` });
  }

  data(): void {
    // Usually the word `Accepted`.
  }

  end(): void {
    // Taken; the answer comes on the stream.
  }

  fail(fault: UpstreamFault): void {
    this.#onFault(fault);
  }
}
