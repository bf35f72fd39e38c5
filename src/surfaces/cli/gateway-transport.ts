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
}

/** The SDK's transport, which sends the very bytes that it is given. */
export class GatewayTransport extends StreamableHTTPClientTransport {
  readonly #sending: AsyncLocalStorage<Outgoing>;

  constructor({ url, key }: GatewayTransportOptions) {
    const sending = new AsyncLocalStorage<Outgoing>();
    const fetchNaming = namingUrl(url);
    super(url, {
      requestInit: { headers: { Authorization: `Bearer ${key}` } },
      reconnectionOptions: RECONNECTION,
      fetch(target, init = {}) {
        const bytes = init.method === "POST" ? sending.getStore()?.bytes : undefined;
        return fetchNaming(target, bytes === undefined ? init : { ...init, body: bytes });
      },
    });
    this.#sending = sending;
  }

  post(outgoing: Outgoing): Promise<void> {
    const { message, onStreamEnd } = outgoing;
    const options = onStreamEnd === undefined ? {} : { onRequestStreamEnd: onStreamEnd };
    return this.#sending.run(outgoing, () => this.send(message, options));
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
