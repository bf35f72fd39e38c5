import * as fc from "fast-check";
import { expect, test } from "vitest";
import { collectGarbage } from "../lib/collect-garbage.ts";
import { formatSse, SseOverflowError, SseParser } from "./sse.ts";

const MB = 1024 * 1024;
const STREAM =
  '\ufeff: hello\r\nevent: message\r\nid: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\nid: 2\nretry: 10\n\ndata:x\r\rdata: é\n\nevent: e\n\ndata: unfinished';

const EVENTS = [
  { type: "message", id: "1", retry: undefined, data: '{"a":\n1}' },
  { type: undefined, id: "2", retry: "10", data: undefined },
  { type: undefined, id: undefined, retry: undefined, data: "x" },
  { type: undefined, id: undefined, retry: undefined, data: "é" },
];

test("cuts a stream into events wherever its chunks break", () => {
  const bytes = Buffer.from(STREAM);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const parser = new SseParser(1000);
      const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const events = places.flatMap((place, index) => parser.push(bytes.subarray(places[index - 1] ?? 0, place)));
      expect(events.map((event) => ({ ...event, data: event.data?.toString() }))).toEqual(EVENTS);
    }),
  );
});

test("writes an event that reads the same", () => {
  const event = { type: "message", id: "7", retry: "5", data: Buffer.from('{"a":1}') };
  expect(new SseParser(1000).push(formatSse(event))).toEqual([event]);
  expect(formatSse({ ...event, data: Buffer.from('{\n"a":1}') }).toString()).toContain('data: { "a":1}\n');
});

test("refuses an event beyond the limit, in one line and in many", () => {
  expect(() => new SseParser(100).push(Buffer.alloc(101, "a"))).toThrow(SseOverflowError);
  const parser = new SseParser(100);
  expect(() => {
    for (let line = 0; line < 50; line += 1) parser.push(Buffer.from("data: abc\n"));
  }).toThrow(SseOverflowError);
  const named = new SseParser(100);
  named.push(Buffer.from(`id: ${"x".repeat(60)}\n`));
  expect(() => named.push(Buffer.from(`event: ${"x".repeat(60)}\n`))).toThrow(SseOverflowError);
});

test("goes on for ever with small events", () => {
  const parser = new SseParser(100);
  for (let index = 0; index < 1000; index += 1) expect(parser.push(Buffer.from("data: abc\n\n"))).toHaveLength(1);
});

test("takes no more memory than its bytes do for an event of very many lines, or in very many pieces", () => {
  const parsers = ["data\n", "x"].map((piece) => {
    const parser = new SseParser(MB);
    const before = memoryUsed();
    for (let index = 0; index < 20; index += 1) {
      const pieces = Buffer.from(piece.repeat(10_000));
      const size = piece === "x" ? 1 : pieces.length;
      for (let at = 0; at < pieces.length; at += size) parser.push(pieces.subarray(at, at + size));
    }
    expect(memoryUsed() - before).toBeLessThan(4 * MB);
    return parser;
  });
  // The first line is without a break before it, as in any event.
  expect(parsers.map(({ heldBytes }) => heldBytes)).toEqual([200_000 - 1, 200_000]);
});

function memoryUsed(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test("writes data on one line, also for clients that end lines at other characters", () => {
  const data = Buffer.from('{"a":\n"x\u2028data: {}\u2028\u2028\u0085"}');
  const written = formatSse({ data, id: undefined, type: undefined, retry: undefined }).toString("utf8");
  expect(written).toBe('data: {"a": "x\\u2028data: {}\\u2028\\u2028\\u0085"}\n\n');
});
