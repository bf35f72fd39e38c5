import {
  Client,
  type FetchLike,
  type Implementation,
  SSEClientTransport,
  StreamableHTTPClientTransport,
  type Transport,
  type VersionNegotiationMode,
  type VersionNegotiationOptions,
} from "@modelcontextprotocol/client";
import type { Contact } from "./contact.ts";
import type { ProbeTarget } from "./target.ts";

export interface HandshakeOptions {
  readonly clientInfo: Implementation;
  readonly contact: Contact;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface HttpEndpoint {
  readonly transport: ProbeTarget["transport"];
  readonly url: URL;
  readonly fetch: FetchLike;
}

/** An open MCP connection. The caller MUST `close` it; closing ends the server's session as well, as far as it answers. */
export interface Connection {
  readonly client: Client;
  close(): Promise<void>;
}

// A courtesy to the server; the discovery's answer does not wait longer for it.
const GOODBYE_TIMEOUT_MS = 1000;

/**
 * Opens MCP over HTTP in the newest revision that the server speaks: `server/discover` (2026-07-28) first, then `initialize`.
 * Legacy SSE has only the latter.
 */
export async function connectHttp(endpoint: HttpEndpoint, options: HandshakeOptions): Promise<Connection> {
  const { transport, url, fetch } = endpoint;
  if (transport === "sse") {
    return connect(new SSEClientTransport(url, { fetch, eventSourceInit: { fetch } }), { mode: "legacy" }, options);
  }
  try {
    return await connectStreamable(endpoint, "auto", options);
  } catch (error) {
    // Servers of before 2026 may fail with 500 on a method they do not know; an outage fails the second time too.
    const isServerError = options.contact.lastStatus !== undefined && options.contact.lastStatus >= 500;
    if (!isServerError || options.signal.aborted) throw error;
    return connectStreamable(endpoint, "legacy", options);
  }
}

async function connectStreamable(
  { url, fetch }: HttpEndpoint,
  mode: VersionNegotiationMode,
  options: HandshakeOptions,
): Promise<Connection> {
  const transport = new StreamableHTTPClientTransport(url, { fetch });
  const connection = await connect(transport, { mode }, options);
  return {
    client: connection.client,
    async close() {
      const goodbye = transport.terminateSession().catch(() => undefined);
      await Promise.race([goodbye, wait(GOODBYE_TIMEOUT_MS)]);
      await connection.close();
    },
  };
}

/** Runs the handshake over any transport; closes it when the handshake fails. */
export async function connect(
  transport: Transport,
  versionNegotiation: VersionNegotiationOptions,
  { clientInfo, contact, signal, timeoutMs }: HandshakeOptions,
): Promise<Connection> {
  const client = new Client(clientInfo, { capabilities: {}, versionNegotiation });
  try {
    await client.connect(transport, { signal, timeout: timeoutMs });
  } catch (error) {
    await client.close();
    await transport.close();
    throw error;
  }
  contact.answered();
  contact.isHandshakeDone = true;
  return { client, close: () => client.close() };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
