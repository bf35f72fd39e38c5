import { AsyncLocalStorage } from "node:async_hooks";
import { type FetchLike, type JSONRPCMessage, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

// A client stays for days and the gateway's restart must not cost it the server's own messages: tried for about a day.
const RECONNECTION = {
  initialReconnectionDelay: 500,
  reconnectionDelayGrowFactor: 1.5,
  maxReconnectionDelay: 30_000,
  maxRetries: 3_000,
};

/** A message on its way out. */
export interface Outgoing {
  readonly message: JSONRPCMessage;
  /** What is sent in place of `message`, whose numbers a double may have changed. */
  readonly bytes?: Buffer<ArrayBuffer> | undefined;
  /** The stream of its answer is over. */
  readonly onStreamEnd?: (() => void) | undefined;
}

export interface GatewayTransportOptions {
  readonly url: URL;
  readonly key: string;
  /** A standing stream of this session, or one of its answers, cannot be taken up again: the gateway does not know it. */
  readonly onSessionGone: (sessionId: string) => void;
}

interface Sending extends Outgoing {
  /** In which it was sent. */
  readonly sessionId: string | undefined;
}

const NOT_FOUND = 404;

/** The SDK's transport, which sends the very bytes that it is given and leaves the streams of a session that was replaced. */
export class GatewayTransport extends StreamableHTTPClientTransport {
  readonly #sending: AsyncLocalStorage<Sending>;

  constructor({ url, key, onSessionGone }: GatewayTransportOptions) {
    const sending = new AsyncLocalStorage<Sending>();
    const fetchNaming = namingUrl(url);
    super(url, {
      requestInit: { headers: { Authorization: `Bearer ${key}` } },
      reconnectionOptions: RECONNECTION,
      async fetch(target, init = {}) {
        const bytes = init.method === "POST" ? sending.getStore()?.bytes : undefined;
        const response = await fetchNaming(target, bytes === undefined ? init : { ...init, body: bytes });
        const sessionId = new Headers(init.headers).get("mcp-session-id");
        if (init.method === "GET" && response.status === NOT_FOUND && sessionId !== null) {
          // So that nothing is left to wait for before the transport plans its next attempt, which is for the same session then.
          await response.body?.cancel();
          onSessionGone(sessionId);
        }
        return response;
      },
      reconnectionScheduler: (reconnect, delayMs) => {
        const sent = sending.getStore();
        // Another stream may have found the session gone, and have it replaced by now.
        const sessionId = sent?.sessionId ?? this.sessionId;
        // The new session has a stream of its own, and no answer to what was asked in the old one.
        const timer = setTimeout(
          () => (this.sessionId === sessionId ? reconnect() : sent?.onStreamEnd?.()),
          delayMs,
        ).unref();
        return () => clearTimeout(timer);
      },
    });
    this.#sending = sending;
  }

  post(outgoing: Outgoing): Promise<void> {
    const { message, onStreamEnd } = outgoing;
    const options = onStreamEnd === undefined ? {} : { onRequestStreamEnd: onStreamEnd };
    return this.#sending.run({ ...outgoing, sessionId: this.sessionId }, () => this.send(message, options));
  }
}

/** A gateway that cannot be reached is named: "fetch failed" tells nobody what to mend. */
function namingUrl(url: URL): FetchLike {
  return async (target, init) => {
    try {
      return await fetch(target, init);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      const text = `the gateway at \`${url.origin}${url.pathname}\` does not answer; try again later`;
      throw new Error(text, { cause: error });
    }
  };
}
