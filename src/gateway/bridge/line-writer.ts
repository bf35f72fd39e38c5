import type { Writable } from "node:stream";
import { bytesOnOneLine } from "../../lib/one-line.ts";

const LINE_FEED = 0x0a;

interface Lines {
  readonly messages: Buffer[];
  readonly onTaken: (() => void)[];
  bytes: number;
}

/** What a pipe takes at once, about: more gains nothing, and of one write nobody knows how much is taken. */
const GATHERED_BYTES_MAX = 64 * 1024;
/** As long as a server that is reached over HTTP may be silent. */
const UNREAD_MS = 300_000;

/** Writes messages as lines. Those of one turn of the loop leave together: one write for all of them, and one read of the far end. */
export class LineWriter {
  readonly #stream: Writable;
  readonly #onUnread: () => void;
  #lines = noLines();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `onUnread`: the far end has taken nothing for five minutes of what waits for it, and will not read at all. */
  constructor(stream: Writable, onUnread: () => void) {
    this.#stream = stream;
    this.#onUnread = onUnread;
  }

  /** Bytes that the far end has not taken. */
  get waitingBytes(): number {
    return this.#lines.bytes + this.#stream.writableLength;
  }

  /** `onTaken` is called once: the message does not wait here any more. */
  write(message: Buffer, onTaken: (() => void) | undefined): void {
    if (this.#lines.bytes === 0) process.nextTick(() => this.#flushSoon());
    const line = bytesOnOneLine(message);
    this.#lines.messages.push(line);
    if (onTaken !== undefined) this.#lines.onTaken.push(onTaken);
    this.#lines.bytes += line.length + 1;
    if (this.#lines.bytes > GATHERED_BYTES_MAX) this.#flush();
  }

  /** The last that is written: what waits here leaves. */
  close(): void {
    this.#flush();
    this.#stopWatching();
    this.#isClosed = true;
  }

  /** Nothing more leaves. */
  drop(): void {
    for (const done of this.#take().onTaken) done();
    this.close();
  }

  /** Several that were let go together leave now; one alone may get company in this turn of the loop. */
  #flushSoon(): void {
    if (this.#lines.messages.length > 1) this.#flush();
    else setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#lines.bytes === 0) return;
    // The messages themselves MUST NOT be kept while the copy waits.
    const { messages, bytes, onTaken } = this.#take();
    this.#stream.write(joined(messages, bytes), () => {
      this.#stopWatching();
      this.#watch();
      for (const done of onTaken) done();
    });
    this.#watch();
  }

  #watch(): void {
    if (this.#isClosed || this.#stream.writableLength === 0) return;
    this.#timer ??= setTimeout(this.#onUnread, UNREAD_MS).unref();
  }

  #stopWatching(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #take(): Lines {
    const taken = this.#lines;
    this.#lines = noLines();
    return taken;
  }
}

function noLines(): Lines {
  return { messages: [], onTaken: [], bytes: 0 };
}

function joined(lines: readonly Buffer[], bytes: number): Buffer {
  const text = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const line of lines) {
    text.set(line, at);
    at += line.length;
    text[at] = LINE_FEED;
    at += 1;
  }
  return text;
}
