import { GatheredBytes } from "../lib/gathered-bytes.ts";
import { bytesOnOneLine } from "../lib/one-line.ts";

/** One event of an event stream, as far as the gateway looks into it. */
export interface SseEvent {
  /** The text of its `data` lines, joined; undefined where there is none. */
  readonly data: Buffer | undefined;
  readonly id: string | undefined;
  readonly type: string | undefined;
  readonly retry: string | undefined;
}

export class SseOverflowError extends Error {
  override readonly name = "SseOverflowError";

  constructor() {
    super("an event is larger than the limit");
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const LINE_BREAK = Buffer.from([LINE_FEED]);

/**
 * Cuts an event stream into events (WHATWG HTML §9.2.6). Holds no more than one unfinished event of at most `bytesMax`;
 * `push` throws `SseOverflowError` past it. Of comments it tells only that there were some.
 */
export class SseParser {
  readonly #bytesMax: number;
  /** Of the line that is not finished. */
  readonly #rest = new GatheredBytes();
  readonly #data = new GatheredBytes();
  #hasData = false;
  #id: string | undefined;
  #type: string | undefined;
  #retry: string | undefined;
  #isAfterCarriageReturn = false;
  #isStart = true;
  #hasComment = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Of the event that is not finished. */
  get heldBytes(): number {
    return this.#data.length + this.#rest.length + (this.#id?.length ?? 0) + (this.#type?.length ?? 0);
  }

  /** Whether a comment came since this was asked last. */
  takeComment(): boolean {
    const had = this.#hasComment;
    this.#hasComment = false;
    return had;
  }

  /** The events that this chunk completes. */
  push(chunk: Buffer): SseEvent[] {
    const events: SseEvent[] = [];
    let start = this.#skipLineFeed(chunk);
    for (let at = this.#endOfLine(chunk, start); at !== -1; at = this.#endOfLine(chunk, start)) {
      const event = this.#line(this.#take(chunk.subarray(start, at)));
      if (event !== undefined) events.push(event);
      const isPair = chunk[at] === CARRIAGE_RETURN && chunk[at + 1] === LINE_FEED;
      this.#isAfterCarriageReturn = chunk[at] === CARRIAGE_RETURN && at + 1 === chunk.length;
      start = at + (isPair ? 2 : 1);
    }
    this.#keep(chunk.subarray(start));
    return events;
  }

  #skipLineFeed(chunk: Buffer): number {
    const isSecondHalf = this.#isAfterCarriageReturn && chunk[0] === LINE_FEED;
    if (chunk.length > 0) this.#isAfterCarriageReturn = false;
    return isSecondHalf ? 1 : 0;
  }

  #endOfLine(chunk: Buffer, from: number): number {
    const feed = chunk.indexOf(LINE_FEED, from);
    const line = feed === -1 ? chunk.subarray(from) : chunk.subarray(from, feed);
    const carriage = line.indexOf(CARRIAGE_RETURN);
    return carriage === -1 ? feed : from + carriage;
  }

  #take(piece: Buffer): Buffer {
    this.#checkSize(piece.length);
    this.#rest.add(piece);
    const line = this.#rest.take();
    if (!this.#isStart) return line;
    this.#isStart = false;
    return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line;
  }

  #keep(piece: Buffer): void {
    this.#checkSize(piece.length);
    this.#rest.add(piece);
  }

  #checkSize(more: number): void {
    if (this.heldBytes + more > this.#bytesMax) throw new SseOverflowError();
  }

  #line(line: Buffer): SseEvent | undefined {
    if (line.length === 0) return this.#dispatch();
    const colon = line.indexOf(COLON);
    if (colon === 0) {
      this.#hasComment = true;
      return undefined;
    }
    const name = line.toString("utf8", 0, colon === -1 ? line.length : colon);
    const valueStart = colon === -1 ? line.length : colon + (line[colon + 1] === SPACE ? 2 : 1);
    this.#field(name, line.subarray(valueStart));
    return undefined;
  }

  #field(name: string, value: Buffer): void {
    if (name === "data") {
      if (this.#hasData) this.#data.add(LINE_BREAK);
      this.#data.add(value);
      this.#hasData = true;
    } else if (name === "id" && !value.includes(0)) this.#id = value.toString("utf8");
    else if (name === "event") this.#type = value.toString("utf8");
    else if (name === "retry" && /^\d{1,9}$/.test(value.toString("latin1"))) this.#retry = value.toString("latin1");
  }

  #dispatch(): SseEvent | undefined {
    const isEmpty = !this.#hasData && this.#id === undefined && this.#retry === undefined;
    const event = {
      data: this.#hasData ? this.#data.take() : undefined,
      id: this.#id,
      type: this.#type,
      retry: this.#retry,
    };
    this.#hasData = false;
    this.#id = undefined;
    this.#type = undefined;
    this.#retry = undefined;
    return isEmpty ? undefined : event;
  }
}

/** The bytes of one event. `data` is JSON, or empty. */
export function formatSse(event: SseEvent): Buffer {
  const parts: Buffer[] = [];
  if (event.type !== undefined) parts.push(Buffer.from(`event: ${event.type}\n`));
  if (event.id !== undefined) parts.push(Buffer.from(`id: ${event.id}\n`));
  if (event.retry !== undefined) parts.push(Buffer.from(`retry: ${event.retry}\n`));
  if (event.data !== undefined) parts.push(Buffer.from("data: "), bytesOnOneLine(event.data), Buffer.from("\n"));
  parts.push(Buffer.from("\n"));
  return Buffer.concat(parts);
}

/** The event of a message that the gateway itself has to say. */
export function messageEvent(data: Buffer): Buffer {
  return formatSse({ data, id: undefined, type: "message", retry: undefined });
}
