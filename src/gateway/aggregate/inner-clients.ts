import { AsyncLocalStorage } from "node:async_hooks";
import {
  type CallToolResult,
  Client,
  type RequestOptions,
  SdkError,
  StreamableHTTPClientTransport,
  type Tool,
} from "@modelcontextprotocol/client";
import type { ParentCall } from "../parent-call.ts";
import { putArguments } from "./own-arguments.ts";
import type { Fetch, InnerHttp, InnerOrigin } from "./inner-http.ts";

/** Whose calls these are. */
export type InnerSubject = Omit<InnerOrigin, "serverId" | "parent">;

export interface InnerToolCall {
  readonly serverId: string;
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** The arguments as the agent wrote them: sent in the place of `args`, whose numbers a double may have changed. */
  readonly argumentsJson?: string | undefined;
  /** Absent for a call that begins an event chain of its own. */
  readonly parent?: ParentCall | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: InnerProgress) => void) | undefined;
}

export interface InnerProgress {
  readonly progress: number;
  readonly total?: number | undefined;
  readonly message?: string | undefined;
}

/** What a message that is being sent belongs to. */
type Sending = Pick<InnerToolCall, "parent" | "argumentsJson">;

/** Longer than any tool that answers while somebody waits; the agent's own patience ends earlier. */
const CALL_MS_MAX = 10 * 60_000;
const LIST_MS_MAX = 5000;

/**
 * MCP clients of the gateway itself, one for each server and agent: what goes through them is decided, recorded and forwarded as
 * if the agent had sent it to the server's own path.
 */
export class InnerClients {
  readonly #http: InnerHttp;
  readonly #clients = new Map<string, Promise<Client>>();
  readonly #sending = new AsyncLocalStorage<Sending>();
  #subject: InnerSubject;

  constructor(http: InnerHttp, subject: InnerSubject) {
    this.#http = http;
    this.#subject = subject;
  }

  get subject(): InnerSubject {
    return this.#subject;
  }

  /** Messages from now on come from where the agent is now. */
  renew(subject: InnerSubject): void {
    this.#subject = subject;
  }

  /** The server's result as it came. Rejects with `ProtocolError` where the gateway or the server refuses. */
  async callTool(call: InnerToolCall): Promise<CallToolResult> {
    const { tool, args, signal, onProgress } = call;
    const params = { name: tool, arguments: { ...args } };
    const options: RequestOptions = {
      signal,
      timeout: CALL_MS_MAX,
      ...(onProgress === undefined ? {} : { onprogress: onProgress, resetTimeoutOnProgress: true }),
    };
    return this.#use(call.serverId, call, (client) => client.request({ method: "tools/call", params }, options));
  }

  /** What the server offers this agent, asked now. */
  async listTools(serverId: string): Promise<readonly Tool[]> {
    const signal = AbortSignal.timeout(LIST_MS_MAX);
    const { tools } = await this.#use(serverId, {}, (client) => client.listTools(undefined, { signal }));
    return tools;
  }

  /** Forgets the connection to a server, so that the next call opens a new one. */
  drop(serverId: string): void {
    const client = this.#clients.get(serverId);
    this.#clients.delete(serverId);
    void client?.then((opened) => opened.close()).catch(() => undefined);
  }

  close(): void {
    for (const serverId of this.#clients.keys()) this.drop(serverId);
  }

  async #use<T>(
    serverId: string,
    { parent, argumentsJson }: Sending,
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    const sending = { parent, argumentsJson };
    const client = await this.#connect(serverId);
    try {
      return await this.#sending.run(sending, () => work(client));
    } catch (error) {
      if (!isSessionGone(error)) throw error;
      // The session ended (a new credential, an idle server): nothing was sent, so that it is safe to begin again.
      this.drop(serverId);
      const fresh = await this.#connect(serverId);
      return this.#sending.run(sending, () => work(fresh));
    }
  }

  async #connect(serverId: string): Promise<Client> {
    const known = this.#clients.get(serverId);
    if (known !== undefined) return known;
    const opening = this.#open(serverId);
    this.#clients.set(serverId, opening);
    opening.catch(() => this.#clients.delete(serverId));
    return opening;
  }

  async #open(serverId: string): Promise<Client> {
    const client = new Client(
      { name: "runlayer", version: "1" },
      { versionNegotiation: { mode: "auto" }, capabilities: {} },
    );
    const transport = new StreamableHTTPClientTransport(new URL(`http://gateway.internal/gateway/${serverId}/mcp`), {
      fetch: this.#fetch(serverId),
    });
    await this.#sending.exit(() => client.connect(transport));
    return client;
  }

  #fetch(serverId: string): Fetch {
    const fetch = this.#http.fetchAs(() => ({
      ...this.#subject,
      serverId,
      parent: this.#sending.getStore()?.parent,
    }));
    return (url, init = {}) => {
      const { argumentsJson } = this.#sending.getStore() ?? {};
      if (argumentsJson === undefined || typeof init.body !== "string") return fetch(url, init);
      return fetch(url, { ...init, body: putArguments(init.body, argumentsJson) });
    };
  }
}

function isSessionGone(error: unknown): boolean {
  return error instanceof SdkError && "status" in error && error.status === 404;
}
