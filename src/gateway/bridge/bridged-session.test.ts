import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { PassThrough } from "node:stream";
import { expect, test, vi } from "vitest";
import { parseUpstreamEnvelope, type Envelope } from "../envelope/envelope.ts";
import type { UpstreamFault, UpstreamSink } from "../upstream.ts";
import { BridgedSession } from "./bridged-session.ts";
import { StdioChannel } from "./stdio-channel.ts";

const PING = envelope('{"jsonrpc":"2.0","id":1,"method":"ping"}');
const OPENING = envelope('{"jsonrpc":"2.0","id":1,"method":"initialize"}');
const NOTE = envelope('{"jsonrpc":"2.0","method":"notifications/initialized"}');
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';

test.each([
  ["request", PING],
  ["notification", NOTE],
])("sends no %s that is given up in the turn in which it came", async (_, message) => {
  const { session, stdin } = start();
  const { sink, heard } = listener();
  session.post(message, sink).abort();
  await setImmediate();
  expect([stdin.read(), heard, session.isBusy]).toEqual([null, [], false]);
});

test("keeps no stream that is given up in the turn in which it came", async () => {
  const { session } = start();
  const { sink, heard } = listener();
  session.listen(sink).abort();
  await setImmediate();
  expect([heard, session.isBusy]).toEqual([[], false]);
});

test("ends with an opening that is given up in the turn in which it came", async () => {
  const { session, isClosed } = start();
  session.post(OPENING, listener().sink).abort();
  await setImmediate();
  expect(isClosed()).toBe(true);
});

test("drops a late answer to a request that its client took back", async () => {
  const { session } = start();
  const { sink, heard } = listener();
  session.post(PING, sink);
  await setImmediate();
  session.post(
    envelope('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'),
    listener().sink,
  );
  await setImmediate();
  session.message(Buffer.from(ANSWER));
  expect([heard, session.isBusy]).toEqual([["head", "end"], false]);
});

test("gives a quick answer that comes alone as JSON, parsed once", async () => {
  const { session } = start();
  const { sink, heads, texts, parsed } = listener();
  session.post(PING, sink);
  await setImmediate();
  session.message(Buffer.from(ANSWER));
  expect([heads, texts, parsed.map(({ kind }) => kind)]).toEqual([["application/json"], [ANSWER], ["response"]]);
});

test("gives an answer as an event where something was said before it", async () => {
  const { session } = start();
  const { sink, heads, texts } = listener();
  const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}';
  session.post(PING, sink);
  await setImmediate();
  session.message(Buffer.from(note));
  session.message(Buffer.from(ANSWER));
  expect(heads).toEqual(["text/event-stream"]);
  expect(texts).toEqual([note, ANSWER].map((text) => `event: message\ndata: ${text}\n\n`));
});

test("lets a client whose answer takes longer know that it is connected, and answers with an event", async () => {
  const { session } = start();
  const { sink, heads, texts } = listener();
  session.post(PING, sink);
  await vi.waitFor(() => expect(heads).toEqual(["text/event-stream, no sign of the server"]));
  session.message(Buffer.from(ANSWER));
  expect(texts).toEqual([`event: message\ndata: ${ANSWER}\n\n`]);
});

test("says nothing to a client that gave its request up before its head was due", async () => {
  const { session, stdin } = start();
  const { sink, heard } = listener();
  const call = session.post(PING, sink);
  await setImmediate();
  call.abort();
  await sleep(60);
  expect([heard, session.isBusy]).toEqual([[], false]);
  expect(String(stdin.read())).toContain('"notifications/cancelled"');
});

test("gives a session's id with an answer that opens it, and none with a refusal", async () => {
  for (const [answer, id] of [
    [ANSWER, "s"],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}', undefined],
  ] as const) {
    const { session } = start();
    const { sink, sessionIds } = listener();
    session.post(OPENING, sink);
    await setImmediate();
    session.message(Buffer.from(answer));
    expect(sessionIds).toEqual([id]);
  }
});

test.each([
  ["data", ["head", "fail"]],
  ["end", ["head", "data", "fail"]],
] as const)("a mistake over one answer (%s) fails that request alone", async (step, heard) => {
  const { session } = start();
  const broken = listener();
  const other = listener();
  const fault = new Error("a mistake");
  const fails = (): never => {
    throw fault;
  };
  session.post(PING, { ...broken.sink, [step]: fails });
  session.post(envelope('{"jsonrpc":"2.0","id":2,"method":"ping"}'), other.sink);
  await setImmediate();
  session.message(Buffer.from(ANSWER));
  session.message(Buffer.from('{"jsonrpc":"2.0","id":2,"result":{}}'));
  expect([broken.heard, broken.faults.map(({ cause }) => cause)]).toEqual([heard, [fault]]);
  expect([other.heard, session.isBusy]).toEqual([["head", "data", "end"], false]);
});

test("keeps the latest messages for a client that has no stream open, up to a bound", async () => {
  const { session } = start();
  const news = (count: number, bytes: number): Buffer =>
    Buffer.from(`{"jsonrpc":"2.0","method":"n","params":{"count":${count},"text":"${"x".repeat(bytes)}"}}`);
  for (let count = 0; count < 5; count += 1) session.message(news(count, 400_000));
  for (let count = 5; count < 8; count += 1) session.message(news(count, 1));
  session.message(news(8, 2_000_000));
  session.message(news(9, 1));
  const { sink, texts } = listener();
  session.listen(sink);
  await setImmediate();
  expect(texts.map((text) => /"count":(\d)/.exec(text)?.[1])).toEqual(["3", "4", "5", "6", "7", "9"]);
});

/** A session with a child of which the test is the far end. */
function start() {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const child = { stdin, stdout, exited: new Promise<never>(() => undefined), stop: () => Promise.resolve() };
  let closed = false;
  const session = new BridgedSession("s", 0, {
    connect: (channel) => new StdioChannel(Promise.resolve(child), channel),
    onClosed: () => {
      closed = true;
    },
  });
  return { session, stdin, isClosed: () => closed };
}

interface Heard {
  readonly sink: UpstreamSink;
  readonly heard: string[];
  /** Content types, and whether they tell of the server. */
  readonly heads: string[];
  readonly sessionIds: unknown[];
  readonly texts: string[];
  readonly parsed: Envelope[];
  readonly faults: UpstreamFault[];
}

function listener(): Heard {
  const heard: string[] = [];
  const heads: string[] = [];
  const sessionIds: unknown[] = [];
  const texts: string[] = [];
  const parsed: Envelope[] = [];
  const faults: UpstreamFault[] = [];
  const sink: UpstreamSink = {
    head: (_, headers, isOurs = false) => {
      heard.push("head");
      sessionIds.push(headers["mcp-session-id"]);
      heads.push(`${String(headers["content-type"])}${isOurs ? ", no sign of the server" : ""}`);
    },
    data: (chunk, message) => {
      heard.push("data");
      texts.push(chunk.toString("utf8"));
      if (message !== undefined) parsed.push(message);
    },
    end: () => void heard.push("end"),
    fail: (fault) => {
      heard.push("fail");
      faults.push(fault);
    },
  };
  return { sink, heard, heads, sessionIds, texts, parsed, faults };
}

function envelope(text: string): Envelope {
  return parseUpstreamEnvelope(Buffer.from(text));
}
