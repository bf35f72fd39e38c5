import { Client, ProtocolError, SdkHttpError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { SESSION_GONE_HEADER, type Fetch } from "./inner-http.ts";
import { isNotAllowed } from "./inner-outcome.ts";
import type { Openings } from "./openings.ts";

/** How long a server may take to hear that its session is over; nobody waits for it. */
const GOODBYE_MS = 5000;

/** The message was sent to no server: its session had ended before, here. */
export class SessionGoneError extends Error {
  override readonly name = "SessionGoneError";

  constructor() {
    super("the session had ended before the message was sent");
  }
}

/** The server did not take the opening that it once took: the next connection asks it. Nothing else was sent. */
export class StaleOpeningError extends Error {
  override readonly name = "StaleOpeningError";
}

export interface InnerConnectionOptions {
  readonly fetch: Fetch;
  readonly openings: Openings;
  /** Called once, also for one that could not be opened. */
  readonly onEnded: (connection: InnerConnection) => void;
}

/** An MCP connection of the gateway to itself. MUST be ended: the server keeps its session, and a child for it, until then. */
export class InnerConnection {
  readonly serverId: string;
  readonly #client: Client;
  readonly #options: InnerConnectionOptions;
  readonly #url: URL;
  readonly #transport: StreamableHTTPClientTransport;
  readonly #opened: Promise<void>;
  #uses = 0;
  #isRetired = false;
  #isEnded = false;

  /** Begins to open it. */
  constructor(serverId: string, options: InnerConnectionOptions) {
    this.serverId = serverId;
    this.#options = options;
    this.#url = new URL(`http://gateway.internal/gateway/${serverId}/mcp`);
    this.#transport = new StreamableHTTPClientTransport(this.#url, { fetch: refuseGone(options.fetch) });
    const mode = options.openings.of(serverId);
    this.#client = new Client({ name: "runlayer", version: "1" }, { versionNegotiation: { mode }, capabilities: {} });
    this.#opened = this.#client.connect(this.#transport).catch((error: unknown) => {
      throw mode === "legacy" && isOfServer(error) ? new StaleOpeningError("", { cause: error }) : error;
    });
    this.#opened.then(
      () => options.openings.learn(serverId, this.#client.getProtocolEra()),
      (error: unknown) => {
        if (!isNotAllowed(error)) options.openings.learn(serverId, undefined);
        this.end();
      },
    );
  }

  /** Rejects where the connection could not be opened. */
  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    this.#uses += 1;
    try {
      await this.#opened;
      return await work(this.#client);
    } finally {
      this.#uses -= 1;
      if (this.#isRetired && this.#uses === 0) this.end();
    }
  }

  /** Ends it when the calls that are on their way are over. */
  retire(): void {
    this.#isRetired = true;
    if (this.#uses === 0) this.end();
  }

  /** Ends what is on its way, then the session. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#options.onEnded(this);
    this.#end().catch(() => {
      // A courtesy to the server: where it failed it is recorded and reported, and whatever is idle ends by itself.
    });
  }

  async #end(): Promise<void> {
    // One that could not be opened may have a session nevertheless.
    await this.#opened.catch(() => undefined);
    const { sessionId, protocolVersion } = this.#transport;
    await this.#client.close();
    if (sessionId === undefined) return;
    // The transport's own goodbye would be aborted by its end, and before it calls on their way would fail, not be given up.
    const headers = new Headers({ "mcp-session-id": sessionId });
    if (protocolVersion !== undefined) headers.set("mcp-protocol-version", protocolVersion);
    const signal = AbortSignal.timeout(GOODBYE_MS);
    const { body } = await this.#options.fetch(this.#url, { method: "DELETE", headers, signal });
    await body?.cancel();
  }
}

/** The server itself answered, and would not have it. */
function isOfServer(error: unknown): boolean {
  if (isNotAllowed(error)) return false;
  return error instanceof ProtocolError || (error instanceof SdkHttpError && (error.status ?? 500) < 500);
}

function refuseGone(fetch: Fetch): Fetch {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (!response.headers.has(SESSION_GONE_HEADER)) return response;
    await response.body?.cancel();
    throw new SessionGoneError();
  };
}
