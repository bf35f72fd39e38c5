import { GatheredBytes } from "../../lib/gathered-bytes.ts";

/** One line as it was written, without its end. */
export interface Line {
  readonly bytes: Buffer<ArrayBuffer>;
  /** It was longer than allowed: only its two ends are here. */
  readonly isCut: boolean;
}

/** Enough of a message to find its id in. */
const END_BYTES = 1024;

/** Cuts what comes in pieces into lines, and holds no more than `lineBytesMax` of one. */
export class LineSplitter {
  readonly #lineBytesMax: number;
  readonly #held = new GatheredBytes();
  /** Of the line, kept or not. */
  #bytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that end in this piece. */
  push(chunk: Buffer): readonly Line[] {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
      this.#hold(chunk.subarray(start, end));
      lines.push({ bytes: Buffer.from(this.#held.take()), isCut: this.#isTooLong });
      this.#bytes = 0;
      start = end + 1;
    }
    this.#hold(chunk.subarray(start));
    return lines;
  }

  get #isTooLong(): boolean {
    return this.#bytes > this.#lineBytesMax;
  }

  #hold(part: Buffer): void {
    this.#held.add(part);
    this.#bytes += part.length;
    if (!this.#isTooLong || this.#held.length <= 2 * END_BYTES) return;
    const held = this.#held.take();
    this.#held.add(Buffer.concat([held.subarray(0, END_BYTES), held.subarray(-END_BYTES)]));
  }
}
