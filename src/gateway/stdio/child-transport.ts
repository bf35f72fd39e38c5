import {
  deserializeMessage,
  type JSONRPCMessage,
  serializeMessage,
  type Transport,
} from "@modelcontextprotocol/client";
import { GatheredBytes } from "../../lib/gathered-bytes.ts";
import type { SecretMask } from "../secret-mask.ts";
import type { StdioChild } from "./start-child.ts";

export interface ChildTransportOptions {
  /** Longest message; a longer one closes the transport. */
  readonly lineBytesMax?: number | undefined;
  /** Told of each chunk read; what it throws closes the transport. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Hides in messages what the far end must not repeat. */
  readonly mask?: SecretMask | undefined;
  /** Told before a message that is too long closes the transport. */
  readonly onTooLong?: ((bytesMax: number) => void) | undefined;
}

// The SDK's own bound for stdio.
const LINE_BYTES_MAX = 10 * 1024 * 1024;
const NEWLINE = 10;

/** The SDK's transport over a supervised child: one message per line. Closing it stops the child. */
export class ChildTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: Transport["onmessage"];
  /** By these two members the SDK knows a stdio transport; a silent server is then taken for a legacy one. */
  readonly pid: number;
  readonly stderr = null;
  readonly #child: StdioChild;
  readonly #options: ChildTransportOptions;
  readonly #rest = new GatheredBytes();
  #isClosed = false;

  constructor(child: StdioChild, options: ChildTransportOptions = {}) {
    this.#child = child;
    this.#options = options;
    this.pid = child.pid;
  }

  start(): Promise<void> {
    const { stdout, exited } = this.#child;
    stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    void exited.then(() => this.#ended());
    return Promise.resolve();
  }

  send(message: JSONRPCMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new Error("the stdio server has ended"));
      this.#child.stdin.write(serializeMessage(message), (error) =>
        error === null || error === undefined ? resolve() : reject(error),
      );
    });
  }

  async close(): Promise<void> {
    this.#ended();
    await this.#child.stop();
  }

  #ended(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#rest.take();
    this.onclose?.();
  }

  #read(chunk: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#options.onBytes?.(chunk.byteLength);
      this.#split(chunk);
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
      void this.close();
    }
  }

  #split(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end));
      const bytes = this.#rest.take();
      const line = (this.#options.mask?.mask(bytes) ?? bytes).toString("utf8").trim();
      from = end + 1;
      if (line !== "") this.#deliver(line);
    }
    this.#keep(chunk.subarray(from));
  }

  #keep(part: Buffer): void {
    this.#rest.add(part);
    const max = this.#options.lineBytesMax ?? LINE_BYTES_MAX;
    if (this.#rest.length > max) {
      this.#options.onTooLong?.(max);
      throw new Error(`a message is larger than ${max} bytes`);
    }
  }

  /** Servers print banners to their standard output: a line that is no message is reported and passed over. */
  #deliver(line: string): void {
    let message: JSONRPCMessage;
    try {
      message = deserializeMessage(line);
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.onmessage?.(message);
  }
}
