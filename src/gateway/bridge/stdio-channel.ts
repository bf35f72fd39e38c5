import type { Readable, Writable } from "node:stream";
import { AppError } from "../../lib/errors.ts";
import { GatheredBytes } from "../../lib/gathered-bytes.ts";
import type { UpstreamFault } from "../upstream.ts";
import { LineWriter } from "./line-writer.ts";
import { MESSAGE_BYTES_MAX, type ChannelListener, type MessageChannel } from "./message-channel.ts";
import { WAITING_BYTES_MAX, WaitingMessages } from "./waiting-messages.ts";

/** What the bridge needs of a supervised child. */
export interface BridgedChild {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  stop(): Promise<unknown>;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const UNREAD: UpstreamFault = { kind: "refused", text: "it does not read its messages" };
/** A child that ends closes its streams first; its exit says more and follows at once. */
const EXIT_DELAY_MS = 150;

/** One message per line over a child's standard streams (MCP, stdio transport). Lines that hold no message are passed over. */
export class StdioChannel implements MessageChannel {
  readonly #listener: ChannelListener;
  #child: BridgedChild | undefined;
  readonly #waiting = new WaitingMessages();
  #writer: LineWriter | undefined;
  readonly #rest = new GatheredBytes();
  #isClosed = false;
  #isPaused = false;

  constructor(starting: Promise<BridgedChild>, listener: ChannelListener) {
    this.#listener = listener;
    starting.then(
      (child) => this.#started(child),
      (error: unknown) => this.#end(faultOfStart(error)),
    );
  }

  send(message: Buffer, onTaken?: () => void): void {
    if (this.#isClosed) return onTaken?.();
    if (this.#writer === undefined) return this.#keep(message, onTaken);
    this.#writer.write(message, onTaken);
    if (this.#writer.waitingBytes > WAITING_BYTES_MAX) this.#end(UNREAD);
  }

  pause(): void {
    this.#isPaused = true;
    this.#child?.stdout.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#child?.stdout.resume();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stop();
  }

  #started(child: BridgedChild): void {
    this.#child = child;
    if (this.#isClosed) return this.#stop();
    this.#writer = new LineWriter(child.stdin, () => this.#end({ ...UNREAD, kind: "reset" }));
    child.stdin.on("error", () => this.#halfClosed("it reads no messages any more"));
    child.stdout.on("end", () => this.#halfClosed("it closed its output"));
    child.stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    child.stdout.on("error", () => this.#end({ kind: "reset", text: "its output could not be read" }));
    void child.exited.then(({ code, signal }) =>
      this.#end({ kind: "reset", text: `its process ended (${signal ?? `exit code ${code ?? "unknown"}`})` }),
    );
    if (this.#isPaused) child.stdout.pause();
    for (const { message, onTaken } of this.#waiting.take()) this.send(message, onTaken);
  }

  #keep(message: Buffer, onTaken: (() => void) | undefined): void {
    if (this.#waiting.add(message, onTaken)) return;
    onTaken?.();
    this.#end({ kind: "unavailable", text: "it takes too long to start" });
  }

  #read(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1 && !this.#isClosed; end = chunk.indexOf(LINE_FEED, from)) {
      this.#rest.add(chunk.subarray(from, end));
      const line = this.#rest.take();
      from = end + 1;
      if (mayBeMessage(line)) this.#listener.message(line);
    }
    this.#rest.add(chunk.subarray(from));
    if (this.#rest.length > MESSAGE_BYTES_MAX) this.#end({ kind: "refused", text: "a message of it is too large" });
  }

  /** A child that lives on without one of its streams answers nobody. */
  #halfClosed(text: string): void {
    setTimeout(() => this.#end({ kind: "reset", text }), EXIT_DELAY_MS).unref();
  }

  #end(fault: UpstreamFault): void {
    if (this.#isClosed) return;
    this.#writer?.drop();
    this.close();
    this.#listener.closed(fault);
  }

  #stop(): void {
    this.#rest.take();
    this.#writer?.close();
    this.#waiting.drop();
    this.#child?.stop().catch(() => {
      // Its supervisor has said why.
    });
  }
}

/** Servers print banners to their standard output. A message begins with a brace; a batch, which is refused, with a bracket. */
function mayBeMessage(line: Buffer): boolean {
  let at = 0;
  while (line[at] === SPACE || line[at] === 0x09 || line[at] === CARRIAGE_RETURN) at += 1;
  return line[at] === OPEN_BRACE || line[at] === OPEN_BRACKET;
}

/** What a client is told of a child that could not be started. */
export function faultOfStart(error: unknown): UpstreamFault {
  // Messages of our own errors are written for callers (what is wrong and what to do).
  const text = error instanceof AppError ? error.message : "it could not be started";
  return { kind: "unavailable", text, cause: error };
}
