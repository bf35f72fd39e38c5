import type { Upstream, UpstreamCall, UpstreamFault, UpstreamRequest, UpstreamSink } from "./upstream.ts";

/** A body that is not looked at is read so far, so that its connection can serve again; one that goes on costs the connection. */
export const IGNORED_BYTES_MAX = 64 * 1024;
/** Longer than a server needs for a message that asks for no work, and for what is not looked at to come to its end. */
export const IGNORED_MS = 10_000;

/** Sends a message whose answer nobody waits for. `onDone` is called once, after 10 s at the latest, with what went wrong if anything did. */
export function sendIgnoringAnswer(
  upstream: Upstream,
  request: UpstreamRequest,
  onDone: (fault?: UpstreamFault) => void,
): void {
  const sink = new IgnoredAnswer(onDone);
  sink.follow(upstream.send(request, sink));
}

class IgnoredAnswer implements UpstreamSink {
  readonly #onDone: (fault?: UpstreamFault) => void;
  #call: UpstreamCall | undefined;
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #isDone = false;

  constructor(onDone: (fault?: UpstreamFault) => void) {
    this.#onDone = onDone;
  }

  /** The answer may have come before. */
  follow(call: UpstreamCall): void {
    if (this.#isDone) return;
    this.#call = call;
    const fault = { kind: "timeout", text: "it did not answer a message of the gateway in time" } as const;
    this.#timer = setTimeout(() => this.#stop(fault), IGNORED_MS).unref();
  }

  head(): void {
    // The status changes nothing: there is nobody to tell.
  }

  data(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > IGNORED_BYTES_MAX) this.#stop();
  }

  end(): void {
    this.#finish();
  }

  fail(fault: UpstreamFault): void {
    this.#finish(fault);
  }

  #stop(fault?: UpstreamFault): void {
    this.#call?.abort();
    this.#finish(fault);
  }

  #finish(fault?: UpstreamFault): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#onDone(fault);
  }
}
