import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatSse, SseOverflowError, SseParser } from "./sse.ts";

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
});

test("goes on for ever with small events", () => {
  const parser = new SseParser(100);
  for (let index = 0; index < 1000; index += 1) expect(parser.push(Buffer.from("data: abc\n\n"))).toHaveLength(1);
});
