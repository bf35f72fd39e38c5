import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { UpstreamFault, UpstreamSink } from "../upstream.ts";
import { SseChannel } from "./sse-channel.ts";

const MB = 1024 * 1024;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

test("gives up a server that opens its stream and names no endpoint", () => {
  const { faults, stream } = start();
  vi.advanceTimersByTime(60_000);
  expect(faults).toEqual([]);
  stream.head(200, { "content-type": "text/event-stream" });
  vi.advanceTimersByTime(9_000);
  expect(faults).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(faults).toMatchObject([{ kind: "timeout" }]);
});

test("waits for nothing once the endpoint is named", () => {
  const { faults, stream } = start();
  stream.head(200, { "content-type": "text/event-stream" });
  stream.data(Buffer.from("event: endpoint\ndata: /message\n\n"));
  vi.advanceTimersByTime(60_000);
  expect([faults, vi.getTimerCount()]).toEqual([[], 0]);
});

test("keeps messages for a server without endpoint up to a bound", () => {
  const { channel, faults, sent, stream } = start();
  let waiting = 0;
  const send = (bytes: number): void => {
    waiting += bytes;
    channel.send(Buffer.alloc(bytes), () => (waiting -= bytes));
  };
  for (let count = 0; count < 4; count += 1) send(4 * MB);
  expect([faults, waiting]).toEqual([[], 16 * MB]);
  send(1);
  expect(faults).toMatchObject([{ kind: "unavailable" }]);
  send(1);
  expect(waiting).toBe(0);
  stream.data(Buffer.from("event: endpoint\ndata: /message\n\n"));
  expect(sent).toEqual([]);
});

test("has messages on their way to a server that does not take them up to a bound", () => {
  const { channel, faults, sent, stream } = start();
  stream.head(200, { "content-type": "text/event-stream" });
  stream.data(Buffer.from("event: endpoint\ndata: /message\n\n"));
  for (let count = 0; count < 20; count += 1) {
    channel.send(Buffer.alloc(4 * MB));
    sent.at(-1)?.head(202, {});
    sent.at(-1)?.end();
  }
  for (let count = 0; count < 4; count += 1) channel.send(Buffer.alloc(4 * MB));
  expect(faults).toEqual([]);
  channel.send(Buffer.alloc(1));
  expect(faults).toMatchObject([{ kind: "refused" }]);
  expect(sent).toHaveLength(24);
});

/** A channel of which the test is the far end. */
function start() {
  const streams: UpstreamSink[] = [];
  const sent: UpstreamSink[] = [];
  const faults: UpstreamFault[] = [];
  const nothing = (): void => undefined;
  const reach = () => ({
    send: ({ method }: { readonly method: string }, sink: UpstreamSink) => {
      (method === "GET" ? streams : sent).push(sink);
      return { abort: nothing, pause: nothing, resume: nothing };
    },
  });
  const listener = { message: nothing, closed: (fault: UpstreamFault) => void faults.push(fault) };
  const channel = new SseChannel(new URL("http://far.example/sse"), reach, listener);
  const [stream] = streams;
  if (stream === undefined) throw new Error("no stream");
  return { channel, faults, sent, stream };
}
