import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { SdkHttpError, type JSONRPCMessage } from "@modelcontextprotocol/client";
import { toOneLine } from "../../lib/one-line.ts";
import { explain, toBridgeError } from "./bridge-error.ts";
import { LINE_BYTES_MAX, readClientLine } from "./client-line.ts";
import { GatewayTransport, type Outgoing } from "./gateway-transport.ts";
import { type Line, LineSplitter } from "./line-splitter.ts";

export interface StdioBridgeOptions {
  readonly url: URL;
  /** The agent's gateway key. */
  readonly key: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** One line for the client's log. */
  readonly onProblem: (message: string) => void;
  /** Ends the bridge without waiting for answers: whoever sends a signal soon sends one that nothing can catch. */
  readonly stop?: AbortSignal;
}

const NEVER = new AbortController().signal;

/**
 * Joins a client that only starts commands to a gateway URL: what comes on standard input goes out as HTTP with the key, what
 * comes back goes to standard output. The client's messages pass unchanged; a request that cannot be answered is answered with an
 * error. A session that the gateway no longer knows, after a restart, is opened anew without the client noticing. Resolves when
 * the client has closed its end and what it asked before has been answered, or has waited long enough.
 */
export async function bridgeStdio({
  url,
  key,
  stdin,
  stdout,
  onProblem,
  stop = NEVER,
}: StdioBridgeOptions): Promise<void> {
  const gateway = new GatewayTransport({ url, key, onSessionGone: (sessionId) => bridge.onSessionGone(sessionId) });
  const send = (message: JSONRPCMessage): void => void stdout.write(`${toOneLine(JSON.stringify(message))}\n`);
  const bridge = new Bridge({ gateway, send, onProblem });
  await gateway.start();
  stop.addEventListener("abort", () => stdin.destroy());
  await readLines({ stdin, stdout, onProblem }, (line) => bridge.fromClient(line));
  await bridge.finish(stop);
}

/** Resolves when the client has closed its end, or takes no answers any more. */
async function readLines(
  { stdin, stdout, onProblem }: Pick<StdioBridgeOptions, "stdin" | "stdout" | "onProblem">,
  onLine: (line: Line) => void,
): Promise<void> {
  const lines = new LineSplitter(LINE_BYTES_MAX);
  const ended = Promise.withResolvers<void>();
  stdin.on("data", (chunk: Buffer) => lines.push(chunk).forEach(onLine));
  stdin.on("error", (error) => onProblem(error.message));
  for (const event of ["end", "close"]) stdin.on(event, () => ended.resolve());
  stdout.on("error", (error) => {
    onProblem(error.message);
    stdin.destroy();
  });
  if (!stdin.readable) ended.resolve();
  await ended.promise;
}

const RENEW_MS_MAX = 30_000;
// A script that ends its input at once gets its answers; a client that is gone keeps no process for long.
const FINISH_MS_MAX = 10_000;
/** The MCP SDK's clients send SIGKILL 2 s after SIGTERM. */
const GOODBYE_MS_MAX = 1500;
const NOT_FOUND = 404;

interface Ends extends Pick<StdioBridgeOptions, "onProblem"> {
  readonly gateway: GatewayTransport;
  /** Towards the client. */
  readonly send: (message: JSONRPCMessage) => void;
}

class Bridge {
  readonly #gateway: GatewayTransport;
  readonly #sendToClient: Ends["send"];
  readonly #onProblem: Ends["onProblem"];
  /** Requests of the client that have no answer yet. */
  readonly #open = new Set<string | number>();
  #onAllAnswered: (() => void) | undefined;
  /** Told already: the transport reports an error that it throws, and some of them twice. */
  readonly #told = new WeakSet<Error>();
  #initialize: JSONRPCMessage | undefined;
  /** What has to be at the gateway before the client's next message. */
  #ahead: Promise<void> = Promise.resolve();
  /** All messages that get no answer: until they are at the gateway, the session must not end. */
  #delivered: Promise<unknown> = Promise.resolve();
  #renewal: Promise<void> | undefined;
  #renewed: { readonly id: string; readonly resolve: () => void } | undefined;
  #renewals = 0;

  constructor({ gateway, send, onProblem }: Ends) {
    this.#gateway = gateway;
    this.#sendToClient = send;
    this.#onProblem = onProblem;
    gateway.onmessage = (message) => this.#fromGateway(message);
    // Later, because what is thrown as well is told, or mended, where it is caught.
    gateway.onerror = (error) => void setImmediate(() => this.#tell(error));
  }

  /** Waits until what the client sent is there and what it asked is answered, not for ever or past `stop`, and ends the session. */
  async finish(stop: AbortSignal): Promise<void> {
    const answered = new Promise<void>((resolve) => (this.#onAllAnswered = resolve));
    const done = Promise.all([this.#delivered, this.#open.size > 0 ? answered : undefined]);
    const tooLong = Promise.withResolvers<void>();
    const timer = setTimeout(tooLong.resolve, FINISH_MS_MAX);
    stop.addEventListener("abort", () => tooLong.resolve());
    if (!stop.aborted) await Promise.race([done, tooLong.promise]);
    clearTimeout(timer);
    for (const id of this.#open) this.#answer(id, new Error("the client closed its end before the gateway answered"));
    const goodbye = this.#gateway.terminateSession();
    const told = goodbye.catch((error: unknown) => this.#tell(error, "could not end the session: "));
    await Promise.race([told, sleep(GOODBYE_MS_MAX, undefined, { ref: false })]);
    await this.#gateway.close();
  }

  #tell(error: unknown, what = ""): void {
    if (error instanceof Error) {
      if (this.#told.has(error)) return;
      this.#told.add(error);
    }
    this.#onProblem(`${what}${explain(error)}`);
  }

  fromClient(line: Line): void {
    const read = readClientLine(line);
    if (read === undefined) return;
    if ("message" in read) return this.#pass({ message: read.message, bytes: line.bytes });
    if (read.id === undefined) return this.#tell(new Error(read.fault));
    this.#open.add(read.id);
    this.#answer(read.id, new Error(read.fault));
  }

  /** The server speaks on its own on a stream: while the client is silent, nothing else would bring that back. */
  onSessionGone(sessionId: string): void {
    const isFinishing = this.#onAllAnswered !== undefined;
    if (this.#initialize === undefined || isFinishing) return;
    this.#renew(sessionId).catch((error: unknown) => this.#tell(error, "could not open a new session: "));
  }

  /** What follows `initialize` or a notification waits until it is there: HTTP keeps no order among requests of its own. */
  #pass(outgoing: Outgoing): void {
    const { message } = outgoing;
    const isNotification = "method" in message && !("id" in message);
    const isRequest = "method" in message && "id" in message;
    if (isRequest) {
      this.#open.add(message.id);
      if (message.method === "initialize") this.#initialize = message;
    }
    const sent = this.#ahead.then(() => this.#send(outgoing));
    if (!isRequest) this.#delivered = Promise.all([this.#delivered, sent]);
    if (isNotification || message === this.#initialize) this.#ahead = sent;
  }

  async #send(outgoing: Outgoing): Promise<void> {
    const { message } = outgoing;
    const { sessionId } = this.#gateway;
    try {
      await this.#post(outgoing).catch(async (error: unknown) => {
        if (!(error instanceof SdkHttpError) || !this.#canRenew(error, message)) throw error;
        this.#told.add(error);
        await this.#renew(sessionId);
        await this.#post(outgoing);
      });
    } catch (error) {
      this.#fail(message, error);
    }
  }

  #post(outgoing: Outgoing): Promise<void> {
    const { message } = outgoing;
    if (!("method" in message && "id" in message)) return this.#gateway.post(outgoing);
    const onStreamEnd = (): void => this.#fail(message, new Error("the gateway's answer broke off"));
    return this.#gateway.post({ ...outgoing, onStreamEnd });
  }

  #fail(message: JSONRPCMessage, error: unknown): void {
    if ("method" in message && "id" in message) this.#answer(message.id, error);
    else this.#tell(error);
  }

  /** Answers a request that will have no other answer. */
  #answer(id: string | number, error: unknown): void {
    if (!this.#settle(id)) return;
    this.#tell(error);
    this.#sendToClient({ jsonrpc: "2.0", id, error: toBridgeError(error) });
  }

  /** False where the request had its answer before. */
  #settle(id: string | number): boolean {
    const wasOpen = this.#open.delete(id);
    if (this.#open.size === 0) this.#onAllAnswered?.();
    return wasOpen;
  }

  #fromGateway(message: JSONRPCMessage): void {
    const version = negotiatedVersion(message);
    // MCP 2025-06-18, transports: every later request carries the negotiated revision.
    if (version !== undefined) this.#gateway.setProtocolVersion(version);
    if (!("method" in message) && message.id !== undefined) {
      if (message.id === this.#renewed?.id) return this.#renewed.resolve();
      // Nobody waits for a second answer.
      if (!this.#settle(message.id)) return;
    }
    this.#sendToClient(message);
  }

  /** MCP 2025-06-18, transports: 404 on a request with a session id means that a new session has to be opened. */
  #canRenew({ status }: SdkHttpError, message: JSONRPCMessage): boolean {
    return status === NOT_FOUND && this.#initialize !== undefined && message !== this.#initialize;
  }

  /** Opens a session in the place of the one that is gone, as the client opened the first. Whoever else finds it gone shares that. */
  #renew(gone: string | undefined): Promise<void> {
    if (this.#renewal === undefined && this.#gateway.sessionId !== gone) return Promise.resolve();
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
      await this.#gateway.post({ message: { ...this.#initialize, id } });
      await promise;
      await this.#gateway.post({ message: { jsonrpc: "2.0", method: "notifications/initialized" } });
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
