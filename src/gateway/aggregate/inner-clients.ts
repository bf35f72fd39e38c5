import { AsyncLocalStorage } from "node:async_hooks";
import {
  type CallToolResult,
  type Client,
  type RequestOptions,
  SdkHttpError,
  type Tool,
} from "@modelcontextprotocol/client";
import type { ParentCall } from "../parent-call.ts";
import { putArguments } from "./own-arguments.ts";
import { isToolResult } from "./is-tool-result.ts";
import { InnerConnection, SessionGoneError, StaleOpeningError } from "./inner-connection.ts";
import { UnopenedError } from "./unopened-error.ts";
import type { Fetch, InnerHttp, InnerOrigin } from "./inner-http.ts";

/** Whose calls these are. */
export type InnerSubject = Omit<InnerOrigin, "serverId" | "parent" | "isToolResult">;

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

/** Longer than any tool is silent while somebody waits; the agent's own patience ends earlier. */
const SILENCE_MS_MAX = 10 * 60_000;
/** A tool that tells of its progress may take longer, but not for ever. */
const CALL_MS_MAX = 60 * 60_000;
const TOO_LATE = "the call took too long";
const LIST_MS_MAX = 5000;

/**
 * MCP clients of the gateway itself, one for each server and agent: what goes through them is decided, recorded and forwarded as
 * if the agent had sent it to the server's own path.
 */
export class InnerClients {
  readonly #http: InnerHttp;
  /** By server, those that the next call goes through. */
  readonly #connections = new Map<string, InnerConnection>();
  /** These, and retired ones with a call on its way. */
  readonly #live = new Set<InnerConnection>();
  readonly #sending = new AsyncLocalStorage<Sending>();
  #subject: InnerSubject;
  #isClosed = false;

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

  /**
   * The server's result as it came. Rejects with `ProtocolError` where the gateway or the server refuses, and with `UnopenedError`
   * where nothing was sent: then the call has no event yet.
   */
  async callTool(call: InnerToolCall): Promise<CallToolResult> {
    const { tool, args, signal, onProgress } = call;
    const params = { name: tool, arguments: { ...args } };
    // Not `AbortSignal.timeout`: one that feeds `any` stays in memory until it fires.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new DOMException(TOO_LATE, "TimeoutError")), CALL_MS_MAX).unref();
    const options: RequestOptions = {
      // Not the SDK's own limit of the whole: that one does not tell the server.
      signal: AbortSignal.any([signal, late.signal]),
      timeout: SILENCE_MS_MAX,
      ...(onProgress === undefined ? {} : { onprogress: onProgress, resetTimeoutOnProgress: true }),
    };
    let wasSent = false;
    try {
      return await this.#use(call.serverId, call, async (client) => {
        signal.throwIfAborted();
        try {
          wasSent = true;
          return await client.request({ method: "tools/call", params }, options);
        } catch (error) {
          wasSent = !(error instanceof SessionGoneError);
          throw error;
        }
      });
    } catch (error) {
      throw wasSent ? error : new UnopenedError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the server offers this agent, asked now. */
  async listTools(serverId: string): Promise<readonly Tool[]> {
    const signal = AbortSignal.timeout(LIST_MS_MAX);
    const { tools } = await this.#use(serverId, {}, (client) => client.listTools(undefined, { signal }));
    return tools;
  }

  /** Ends what is on its way, and at each server the session that was opened there. Nothing is sent from then on. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#live) connection.end();
  }

  async #use<T>(
    serverId: string,
    { parent, argumentsJson }: Sending,
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    const send = (through: InnerConnection): Promise<T> =>
      this.#sending.run({ parent, argumentsJson }, () => through.use(work));
    const connection = this.#connect(serverId);
    try {
      return await send(connection);
    } catch (error) {
      if (error instanceof StaleOpeningError) return send(this.#connect(serverId));
      if (!isSessionOver(error)) throw error;
      this.#forget(connection);
      connection.retire();
      // Whoever else says 404 may have acted on the message before: only what was certainly not sent is sent again.
      if (!(error instanceof SessionGoneError)) throw error;
      return send(this.#connect(serverId));
    }
  }

  #connect(serverId: string): InnerConnection {
    const known = this.#connections.get(serverId);
    if (known !== undefined) return known;
    // Nobody would end it.
    if (this.#isClosed) throw new Error("the client of these calls has gone");
    const onEnded = (connection: InnerConnection): void => {
      this.#live.delete(connection);
      this.#forget(connection);
    };
    const options = { fetch: this.#fetch(serverId), openings: this.#http.openings, onEnded };
    // What opens it belongs to no call.
    const connection = this.#sending.exit(() => new InnerConnection(serverId, options));
    this.#live.add(connection);
    this.#connections.set(serverId, connection);
    return connection;
  }

  /** The next call opens a new one. */
  #forget(connection: InnerConnection): void {
    if (this.#connections.get(connection.serverId) === connection) this.#connections.delete(connection.serverId);
  }

  #fetch(serverId: string): Fetch {
    const fetch = this.#http.fetchAs(() => ({
      ...this.#subject,
      serverId,
      parent: this.#sending.getStore()?.parent,
      isToolResult,
    }));
    return (url, init = {}) => {
      const { argumentsJson } = this.#sending.getStore() ?? {};
      if (argumentsJson === undefined || typeof init.body !== "string") return fetch(url, init);
      return fetch(url, { ...init, body: putArguments(init.body, argumentsJson) });
    };
  }
}

function isSessionOver(error: unknown): boolean {
  return error instanceof SessionGoneError || (error instanceof SdkHttpError && error.status === 404);
}
