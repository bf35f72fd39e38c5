import type { Readable, Writable } from "node:stream";
import { SdkHttpError, StreamableHTTPClientTransport, type JSONRPCMessage } from "@modelcontextprotocol/client";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { toBridgeError } from "./bridge-error.ts";

export interface StdioBridgeOptions {
  readonly url: URL;
  /** The agent's gateway key. */
  readonly key: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** One line for the client's log. */
  readonly onProblem: (message: string) => void;
}

/**
 * Joins a client that only starts commands to a gateway URL: what comes on standard input goes out as HTTP with the key, what
 * comes back goes to standard output. Messages pass unchanged; a request that cannot be answered is answered with an error. A
 * session that the gateway no longer knows, after a restart, is opened anew without the client noticing. Resolves when the
 * client closes its end.
 */
export async function bridgeStdio({ url, key, stdin, stdout, onProblem }: StdioBridgeOptions): Promise<void> {
  const client = new StdioServerTransport(stdin, stdout);
  const gateway = new StreamableHTTPClientTransport(url, {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
    reconnectionOptions: RECONNECTION,
  });
  const bridge = new Bridge(client, gateway, onProblem);
  const ended = new Promise<void>((resolve) => stdin.once("close", resolve).once("end", resolve));
  await gateway.start();
  await client.start();
  await ended;
  await bridge.close();
}

// A client stays for days and the gateway's restart must not cost it the server's own messages: tried for about a day.
const RECONNECTION = {
  initialReconnectionDelay: 500,
  reconnectionDelayGrowFactor: 1.5,
  maxReconnectionDelay: 30_000,
  maxRetries: 3_000,
};

const RENEW_MS_MAX = 30_000;
const NOT_FOUND = 404;

class Bridge {
  readonly #client: StdioServerTransport;
  readonly #gateway: StreamableHTTPClientTransport;
  readonly #onProblem: (message: string) => void;
  /** Requests of the client that have no answer yet. */
  readonly #open = new Set<string | number>();
  #initialize: JSONRPCMessage | undefined;
  /** What has to be at the gateway before the client's next message. */
  #ahead: Promise<void> = Promise.resolve();
  #renewal: Promise<void> | undefined;
  #renewed: { readonly id: string; readonly resolve: () => void } | undefined;
  #renewals = 0;

  constructor(
    client: StdioServerTransport,
    gateway: StreamableHTTPClientTransport,
    onProblem: (message: string) => void,
  ) {
    this.#client = client;
    this.#gateway = gateway;
    this.#onProblem = onProblem;
    client.onmessage = (message) => this.#fromClient(message);
    client.onerror = (error) => onProblem(error.message);
    gateway.onmessage = (message) => this.#fromGateway(message);
    gateway.onerror = (error) => onProblem(error.message);
  }

  async close(): Promise<void> {
    await this.#gateway
      .terminateSession()
      .catch((error: unknown) => this.#onProblem(`could not end the session: ${String(error)}`));
    await this.#gateway.close();
  }

  /** What follows `initialize` or a notification waits until it is there: HTTP keeps no order among requests of its own. */
  #fromClient(message: JSONRPCMessage): void {
    const isNotification = "method" in message && !("id" in message);
    if ("method" in message && "id" in message) {
      this.#open.add(message.id);
      if (message.method === "initialize") this.#initialize = message;
    }
    const sent = this.#ahead.then(() => this.#send(message));
    if (isNotification || message === this.#initialize) this.#ahead = sent;
  }

  async #send(message: JSONRPCMessage): Promise<void> {
    try {
      await this.#post(message).catch(async (error: unknown) => {
        if (!this.#canRenew(error, message)) throw error;
        await this.#renew();
        await this.#post(message);
      });
    } catch (error) {
      await this.#fail(message, error);
    }
  }

  #post(message: JSONRPCMessage): Promise<void> {
    if (!("method" in message && "id" in message)) return this.#gateway.send(message);
    const onRequestStreamEnd = (): void => void this.#fail(message, new Error("the gateway's answer broke off"));
    return this.#gateway.send(message, { onRequestStreamEnd });
  }

  /** Answers a request that will have no other answer. */
  async #fail(message: JSONRPCMessage, error: unknown): Promise<void> {
    const answer = toBridgeError(error);
    const isRequest = "method" in message && "id" in message;
    if (isRequest && !this.#open.delete(message.id)) return;
    this.#onProblem(answer.message);
    if (isRequest) await this.#client.send({ jsonrpc: "2.0", id: message.id, error: answer });
  }

  #fromGateway(message: JSONRPCMessage): void {
    const version = negotiatedVersion(message);
    // MCP 2025-06-18, transports: every later request carries the negotiated revision.
    if (version !== undefined) this.#gateway.setProtocolVersion(version);
    if (!("method" in message) && message.id !== undefined) {
      if (message.id === this.#renewed?.id) return this.#renewed.resolve();
      this.#open.delete(message.id);
    }
    this.#client.send(message).catch((error: unknown) => this.#onProblem(String(error)));
  }

  /** MCP 2025-06-18, transports: 404 on a request with a session id means that a new session has to be opened. */
  #canRenew(error: unknown, message: JSONRPCMessage): boolean {
    const isNotFound = error instanceof SdkHttpError && error.status === NOT_FOUND;
    return isNotFound && this.#initialize !== undefined && message !== this.#initialize;
  }

  /** Opens a new session as the client opened the first one. Messages that find the old one gone meanwhile share it. */
  #renew(): Promise<void> {
    this.#renewal ??= this.#openAnew().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  async #openAnew(): Promise<void> {
    if (this.#initialize === undefined || !("method" in this.#initialize)) return;
    this.#renewals += 1;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const id = `runlayer-renewal-${this.#renewals}`;
    this.#renewed = { id, resolve };
    const timer = setTimeout(() => reject(new Error("the gateway did not open a new session")), RENEW_MS_MAX);
    try {
      await this.#gateway.send({ ...this.#initialize, id });
      await promise;
      await this.#gateway.send({ jsonrpc: "2.0", method: "notifications/initialized" });
      this.#onProblem("the session was gone; a new one is open");
    } finally {
      clearTimeout(timer);
      this.#renewed = undefined;
    }
  }
}

/** The revision in an `initialize` result, the only result with that member. */
function negotiatedVersion(message: JSONRPCMessage): string | undefined {
  if (!("result" in message)) return undefined;
  const { protocolVersion } = message.result;
  return typeof protocolVersion === "string" ? protocolVersion : undefined;
}
