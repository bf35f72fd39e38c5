import type { Dispatcher } from "undici";
import { faultOf } from "../lib/egress/request.ts";
import type { ChunkMask, SecretMask } from "./secret-mask.ts";
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamRequest, UpstreamSink } from "./upstream.ts";

export interface HttpUpstreamOptions {
  readonly dispatcher: Dispatcher;
  readonly url: URL;
  /** The server's credential and its fixed headers, names and values in turn; a promise while a token is fetched. */
  readonly headers: () => readonly string[] | Promise<readonly string[]>;
  /** What to hide in the answers, given the headers that were sent. */
  readonly maskOf: (headers: readonly string[]) => SecretMask | undefined;
  /** The server did not take the credential. */
  readonly onUnauthorized: () => void;
}

/** A streamable-HTTP server: the bytes of a message leave as they came, over pooled connections. */
export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const target = { origin: options.url.origin, path: options.url.pathname + options.url.search };
  return {
    send(request, sink) {
      const call = new HttpCall(sink, options);
      const credential = options.headers();
      if (credential instanceof Promise) {
        credential.then(
          (headers) => call.start(target, { request, credential: headers }),
          (error: unknown) =>
            call.fail({ kind: "credential", text: "its credential could not be obtained", cause: error }),
        );
      } else call.start(target, { request, credential });
      return call;
    },
  };
}

class HttpCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #sink: UpstreamSink;
  readonly #options: HttpUpstreamOptions;
  #mask: ChunkMask | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #isDone = false;
  #hasHead = false;

  constructor(sink: UpstreamSink, options: HttpUpstreamOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  start(
    target: { readonly origin: string; readonly path: string },
    { request, credential }: { readonly request: UpstreamRequest; readonly credential: readonly string[] },
  ): void {
    if (this.#isDone) return;
    this.#mask = this.#options.maskOf(credential)?.start();
    this.#options.dispatcher.dispatch(
      {
        ...target,
        method: request.method,
        headers: [...request.headers, "accept-encoding", "identity", "user-agent", "runlayer", ...credential],
        body: request.body ?? null,
        // An event stream may be silent for as long as it likes; calls keep the pool's limit.
        ...(request.method === "GET" || request.isSubscription === true ? { bodyTimeout: 0 } : {}),
      },
      this,
    );
  }

  abort(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#controller?.abort(new Error("the exchange was ended"));
  }

  pause(): void {
    if (!this.#isDone) this.#controller?.pause();
  }

  resume(): void {
    if (!this.#isDone) this.#controller?.resume();
  }

  fail(fault: UpstreamFault): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#sink.fail(fault);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isDone) controller.abort(new Error("the exchange was ended"));
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#isDone || status < 200) return;
    this.#hasHead = true;
    if (status === 401) this.#options.onUnauthorized();
    this.#sink.head(status, headers);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#pass(this.#mask === undefined ? chunk : this.#mask.push(chunk));
  }

  onResponseEnd(): void {
    if (this.#mask !== undefined) this.#pass(this.#mask.end());
    if (this.#isDone) return;
    this.#isDone = true;
    try {
      this.#sink.end();
    } catch (error) {
      // The connection has nobody to tell, and the client must not wait for ever.
      this.#sink.fail({ kind: "refused", text: "its answer could not be read", cause: error });
    }
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    this.fail({ kind: this.#kindOf(error), text: faultOf(error), cause: error });
  }

  #pass(bytes: Buffer): void {
    if (!this.#isDone && bytes.length > 0) this.#sink.data(bytes);
  }

  #kindOf(error: Error): UpstreamFault["kind"] {
    const code = "code" in error && typeof error.code === "string" ? error.code : "";
    if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT")
      return "timeout";
    return this.#hasHead ? "reset" : "unreachable";
  }
}
