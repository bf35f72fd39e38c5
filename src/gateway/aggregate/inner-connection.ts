import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { SESSION_GONE_HEADER, type Fetch } from "./inner-http.ts";

/** How long a server may take to hear that its session is over; nobody waits for it. */
const GOODBYE_MS = 5000;

/** The message was sent to no server: its session had ended before, here. */
export class SessionGoneError extends Error {
  override readonly name = "SessionGoneError";

  constructor() {
    super("the session had ended before the message was sent");
  }
}

/** An MCP connection of the gateway to itself. MUST be ended: the server keeps its session, and a child for it, until then. */
export class InnerConnection {
  readonly #client = new Client(
    { name: "runlayer", version: "1" },
    { versionNegotiation: { mode: "auto" }, capabilities: {} },
  );
  readonly #transport: StreamableHTTPClientTransport;
  readonly #url: URL;
  readonly #fetch: Fetch;
  #uses = 0;
  #isRetired = false;

  constructor(serverId: string, fetch: Fetch) {
    this.#fetch = fetch;
    this.#url = new URL(`http://gateway.internal/gateway/${serverId}/mcp`);
    this.#transport = new StreamableHTTPClientTransport(this.#url, { fetch: refuseGone(fetch) });
  }

  async open(): Promise<void> {
    try {
      await this.#client.connect(this.#transport);
    } catch (error) {
      this.end();
      throw error;
    }
  }

  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    this.#uses += 1;
    try {
      return await work(this.#client);
    } finally {
      this.#uses -= 1;
      if (this.#isRetired && this.#uses === 0) this.end();
    }
  }

  /** Ends it when the calls that are on their way are over. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    if (this.#uses === 0) this.end();
  }

  /** Ends what is on its way, then the session. */
  end(): void {
    this.#end().catch(() => {
      // A courtesy to the server: where it failed it is recorded and reported, and whatever is idle ends by itself.
    });
  }

  async #end(): Promise<void> {
    const { sessionId, protocolVersion } = this.#transport;
    await this.#client.close();
    if (sessionId === undefined) return;
    // The transport's own goodbye would be aborted by its end, and before it calls on their way would fail, not be given up.
    const headers = new Headers({ "mcp-session-id": sessionId });
    if (protocolVersion !== undefined) headers.set("mcp-protocol-version", protocolVersion);
    const signal = AbortSignal.timeout(GOODBYE_MS);
    const { body } = await this.#fetch(this.#url, { method: "DELETE", headers, signal });
    await body?.cancel();
  }
}

function refuseGone(fetch: Fetch): Fetch {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (!response.headers.has(SESSION_GONE_HEADER)) return response;
    await response.body?.cancel();
    throw new SessionGoneError();
  };
}
