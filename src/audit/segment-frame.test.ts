import { expect, test } from "vitest";
import { BLOCK_BYTES } from "./disk-blocks.ts";
import { FrameEncoder, readFrames } from "./segment-frame.ts";

const encoder = new FrameEncoder();

/** Without the zeros that fill its last block. */
function frame(segment: number, ordinal: number, text: string): Buffer {
  const encoded = encoder.encode(segment, { ordinal, text });
  return Buffer.from(encoded.subarray(0, 24 + Buffer.byteLength(text)));
}

const first = frame(7, 1, "one");
const second = frame(7, 2, "zwei – 二");
const third = frame(7, 3, "three");

test("reads back what was written, up to the zeros behind it", () => {
  const { frames, damagedFrames } = readFrames(Buffer.concat([first, second, Buffer.alloc(4096)]), 7);
  expect(frames).toEqual([
    { ordinal: 1, text: "one" },
    { ordinal: 2, text: "zwei – 二" },
  ]);
  expect(damagedFrames).toBe(0);
});

test("a frame is whole blocks, and what was in its last one before is gone", () => {
  for (const length of [0, 1, BLOCK_BYTES - 25, BLOCK_BYTES - 24, BLOCK_BYTES - 23]) {
    encoder.encode(7, { ordinal: 1, text: "x".repeat(4 * BLOCK_BYTES) });
    const encoded = encoder.encode(7, { ordinal: 2, text: "y".repeat(length) });
    expect(encoded.length).toBe(length <= BLOCK_BYTES - 24 ? BLOCK_BYTES : 2 * BLOCK_BYTES);
    expect(encoded.subarray(24 + length).every((byte) => byte === 0)).toBe(true);
    expect(readFrames(Buffer.concat([encoded, third]), 7).frames).toHaveLength(2);
  }
});

test("a torn last frame does not count, wherever it is torn", () => {
  const whole = Buffer.concat([first, second]);
  for (let end = first.length; end < whole.length; end += 1) {
    for (const torn of [whole.subarray(0, end), Buffer.concat([whole.subarray(0, end), Buffer.alloc(64)])]) {
      expect(readFrames(torn, 7)).toEqual({ frames: [{ ordinal: 1, text: "one" }], damagedFrames: 0 });
    }
  }
});

test("a changed byte costs its own frame only and is told", () => {
  for (let at = 8; at < second.length; at += 1) {
    const bad = Buffer.from(second);
    bad.writeUInt8(bad.readUInt8(at) ^ 0x20, at);
    const { frames, damagedFrames } = readFrames(Buffer.concat([first, bad, third]), 7);
    expect(frames.map(({ text }) => text)).toEqual(["one", "three"]);
    expect(damagedFrames).toBe(1);
  }
});

test("what an earlier segment left in a reused file does not count", () => {
  const stale = Buffer.concat([frame(3, 1, "stale one"), frame(3, 2, "stale two")]);
  first.copy(stale);
  expect(readFrames(stale, 7)).toEqual({ frames: [{ ordinal: 1, text: "one" }], damagedFrames: 0 });
});

test("no text can pass for a frame", () => {
  const forged = frame(7, 2, first.toString("latin1"));
  forged.writeUInt8(forged.readUInt8(8) ^ 1, 8);
  expect(readFrames(forged, 7).frames).toEqual([]);
});

test("grows for a body beyond its buffer", () => {
  const text = "é".repeat(1_000_000);
  expect(readFrames(frame(1, 9, text), 1).frames).toEqual([{ ordinal: 9, text }]);
});
