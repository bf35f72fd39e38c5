import { crc32 } from "node:zlib";
import { BLOCK_BYTES, allocateBlocks, toWholeBlocks } from "./disk-blocks.ts";

/*
 * A frame holds what one group commit wrote: `mark` (4 bytes), segment number (4), CRC-32 (4), body length (4), ordinal of its
 * first finished event (8, a double), body. All little-endian. The CRC starts from the segment number and covers length,
 * ordinal and body, so that a frame is whole or does not count, and what an earlier segment left in a reused file never counts.
 * Zeros fill its last block, so that the disk is asked for whole blocks.
 */

/** Bytes that UTF-8 never holds: no body, whatever an agent put into it, can be taken for the start of a frame. */
const MARK = 0xff_52_4c_fe;
const HEADER_BYTES = 24;
const CRC_FROM = 12;

export interface Frame {
  readonly ordinal: number;
  readonly text: string;
}

export interface SegmentContent {
  readonly frames: readonly Frame[];
  /** Broken frames before a whole one. A broken last frame is an interrupted write that nobody was told of: not damage. */
  readonly damagedFrames: number;
}

/** What the frame of a text takes in its file. */
export function frameBytes(text: string): number {
  return toWholeBlocks(HEADER_BYTES + Buffer.byteLength(text));
}

/** Encodes into one buffer that is used again: the bytes are good until the next call. */
export class FrameEncoder {
  #buffer = allocateBlocks(256 * 1024);

  /** Whole blocks. */
  encode(segment: number, { ordinal, text }: Frame): Buffer {
    // A UTF-16 code unit takes at most three bytes of UTF-8.
    const bytesMax = HEADER_BYTES + text.length * 3 + BLOCK_BYTES;
    if (bytesMax > this.#buffer.length) this.#buffer = allocateBlocks(2 * bytesMax);
    const buffer = this.#buffer;
    const bodyBytes = buffer.write(text, HEADER_BYTES, "utf8");
    buffer.writeUInt32LE(MARK, 0);
    buffer.writeUInt32LE(segment, 4);
    buffer.writeUInt32LE(bodyBytes, 12);
    buffer.writeDoubleLE(ordinal, 16);
    const frame = buffer.subarray(0, HEADER_BYTES + bodyBytes);
    frame.writeUInt32LE(crc32(frame.subarray(CRC_FROM), segment), 8);
    const end = toWholeBlocks(frame.length);
    buffer.fill(0, frame.length, end);
    return buffer.subarray(0, end);
  }
}

/** Reads the whole frames of a segment in order, past a torn tail, zeros, and frames that an earlier segment left. */
export function readFrames(bytes: Buffer, segment: number): SegmentContent {
  const start = Buffer.alloc(8);
  start.writeUInt32LE(MARK, 0);
  start.writeUInt32LE(segment, 4);
  const frames: Frame[] = [];
  let broken = 0;
  let damagedFrames = 0;
  let at = bytes.indexOf(start);
  while (at !== -1) {
    const end = endOfFrame(bytes, { at, segment });
    if (end === undefined) broken += 1;
    else {
      frames.push({ ordinal: bytes.readDoubleLE(at + 16), text: bytes.toString("utf8", at + HEADER_BYTES, end) });
      damagedFrames += broken;
      broken = 0;
    }
    at = bytes.indexOf(start, end ?? at + 1);
  }
  return { frames, damagedFrames };
}

function endOfFrame(bytes: Buffer, { at, segment }: { at: number; segment: number }): number | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  const end = at + HEADER_BYTES + bytes.readUInt32LE(at + 12);
  if (end > bytes.length) return undefined;
  const isWhole = crc32(bytes.subarray(at + CRC_FROM, end), segment) === bytes.readUInt32LE(at + 8);
  return isWhole ? end : undefined;
}
