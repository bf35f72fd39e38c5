import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { bridgeStdio } from "../../src/surfaces/cli/stdio-bridge.ts";
import type { Message } from "../gateway/client.ts";
import {
  plainServer,
  result,
  sendEvent,
  sendJson,
  startSse,
  startUpstream,
  type Received,
  type TestUpstream,
} from "../gateway/upstream.ts";
import { startTestApp, textAt, type TestApp } from "../harness/app.ts";

/* The bridge of `runlayer stdio`, line by line, between a script and a far end that does as the test says. */

let app: TestApp;
let upstream: TestUpstream;
let key: string;
let behave: (received: Received) => void = plainServer;
const bridges: Bridge[] = [];

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startUpstream((received) => behave(received));
  const remote = { transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "scripted", ...remote });
  const { body } = await app.rest("POST /agents", { name: "desktop", type: "claude-desktop", servers: ["scripted"] });
  key = textAt(body, "key");
});

afterEach(async () => {
  behave = plainServer;
  for (const { stdin, done } of bridges.splice(0)) {
    stdin.end();
    await done;
  }
});

afterAll(async () => {
  await upstream.close();
  await app.close();
});

interface Bridge {
  readonly stdin: PassThrough;
  readonly answers: Message[];
  readonly problems: string[];
  readonly done: Promise<void>;
  readonly stop: AbortController;
  say(line: string | object): void;
}

/** A bridge whose client has opened its session. */
async function start(url = `${app.url}/gateway/scripted/mcp`): Promise<Bridge> {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const [answers, problems]: [Message[], string[]] = [[], []];
  createInterface(stdout).on("line", (line) => answers.push(JSON.parse(line)));
  const onProblem = (message: string): void => void problems.push(message);
  const stop = new AbortController();
  const done = bridgeStdio({ url: new URL(url), key, stdin, stdout, onProblem, stop: stop.signal });
  const say = (line: string | object): void =>
    void stdin.write(`${typeof line === "string" ? line : JSON.stringify(line)}\n`);
  const bridge = { stdin, answers, problems, done, stop, say };
  bridges.push(bridge);
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "script", version: "1.0.0" } };
  say({ jsonrpc: "2.0", id: 0, method: "initialize", params });
  say({ jsonrpc: "2.0", method: "notifications/initialized" });
  await answerTo(bridge, 0);
  return bridge;
}

async function answerTo({ answers }: Bridge, id: string | number): Promise<Message | undefined> {
  await expect.poll(() => answers.some((answer) => answer.id === id), { timeout: 5000 }).toBe(true);
  return answers.find((answer) => answer.id === id);
}

test("sends the client's numbers as they were written", async () => {
  const bridge = await start();
  const args = '{"n":12345678901234567890,"d":1.0,"e":1e400}';
  bridge.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","arguments":${args}}}`);
  await answerTo(bridge, 1);
  expect(upstream.received.find(({ message }) => message.method === "tools/call")?.body).toContain(args);
});

const CALL = '"method":"tools/call","params":{"name":"read_file","arguments":{}}';
const LARGE = `"method":"tools/call","params":{"name":"x","arguments":{"id":7,"x":"${"z".repeat(11 * 1024 * 1024)}"}}`;

test.each([
  ["a member that the protocol does not know", `{"jsonrpc":"2.0","id":1,${CALL},"extra":1}`],
  ["parameters that are a list", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}'],
  ["no revision of JSON-RPC", `{"id":1,${CALL}}`],
  ["no end", `{"jsonrpc":"2.0","id":1,${CALL}`],
  ["more than the bridge takes, its id first", `{"jsonrpc":"2.0","id":1,${LARGE}}`],
  ["more than the bridge takes, its id last", `{${LARGE},"jsonrpc":"2.0","id":1}`],
])("answers a request that has %s, and goes on", async (_what, line) => {
  const bridge = await start();
  bridge.say(line);
  await answerTo(bridge, 1);
  bridge.say(`{"jsonrpc":"2.0","id":2,${CALL}}`);
  expect(await answerTo(bridge, 2)).toHaveProperty("result");
  expect(bridge.answers.map(({ id }) => id)).toEqual([0, 1, 2]);
});

test.each([
  ["no message", "no JSON"],
  ["an answer", `{"id":1,"jsonrpc":"2.0","result":{"x":"${"z".repeat(11 * 1024 * 1024)}"}}`],
])("tells its log alone of %s that it cannot pass on", async (_what, line) => {
  const bridge = await start();
  bridge.say(line);
  bridge.say(`{"jsonrpc":"2.0","id":2,${CALL}}`);
  await answerTo(bridge, 2);
  expect(bridge.answers.map(({ id }) => id)).toEqual([0, 2]);
  expect(bridge.problems).toHaveLength(1);
});

test("tells of an answer that is no message in one line, and the log has it as an error", async () => {
  behave = (received) =>
    received.message.method === "tools/call" ? sendJson(received, result(received, null)) : plainServer(received);
  const bridge = await start();
  bridge.say(`{"jsonrpc":"2.0","id":1,${CALL}}`);
  expect((await answerTo(bridge, 1))?.error?.message).toMatch(/^runlayer: .* no message of MCP$/);
  expect(bridge.problems).toEqual([expect.stringMatching(/^.* no message of MCP$/)]);
  const { body } = await app.rest("GET /audit-events", { action: "tool.call", order: "desc", limit: 1 });
  expect(body).toMatchObject({ items: [{ outcome: "error", reason: "upstream_refused" }] });
});

test.each([
  ["", (): void => undefined],
  [", also while it waits for its last answers", ({ stdin }: Bridge) => void stdin.end()],
])("a signal ends it, and its session, at once%s", async (_when, before) => {
  const isCalled = Promise.withResolvers<void>();
  behave = (received) => {
    if (received.message.method === "tools/call") return isCalled.resolve();
    plainServer(received);
  };
  const bridge = await start();
  bridge.say(`{"jsonrpc":"2.0","id":1,${CALL}}`);
  await isCalled.promise;
  before(bridge);
  const ends = (): number => upstream.received.filter(({ method }) => method === "DELETE").length;
  const [endsBefore, startedAt] = [ends(), performance.now()];
  bridge.stop.abort();
  await bridge.done;
  expect(performance.now() - startedAt).toBeLessThan(1500);
  await expect.poll(ends).toBe(endsBefore + 1);
  expect(bridge.answers.at(-1)).toMatchObject({ id: 1, error: {} });
});

test("gives a request one answer only", async () => {
  behave = (received) => {
    if (received.message.method !== "tools/call") return plainServer(received);
    startSse(received);
    for (const text of ["first", "second"]) sendEvent(received, result(received, { text }));
    received.response.end();
  };
  const bridge = await start(`${upstream.url}/mcp`);
  bridge.say(`{"jsonrpc":"2.0","id":1,${CALL}}`);
  await answerTo(bridge, 1);
  bridge.say('{"jsonrpc":"2.0","id":2,"method":"tools/list"}');
  await answerTo(bridge, 2);
  expect(bridge.answers.filter(({ id }) => id === 1)).toMatchObject([{ result: { text: "first" } }]);
});

test("opens a new session while its client is silent, so that the server is heard again", async () => {
  let known: string | undefined;
  const streams: Received[] = [];
  behave = (received) => {
    const { message, headers, response } = received;
    if (message.method === "initialize") known = `s-${message.id}`;
    else if (headers["mcp-session-id"] !== known) return void response.writeHead(404).end();
    const isCall = message.method === "tools/call";
    if (received.method !== "GET" && !isCall) return plainServer(received);
    streams.push(received);
    startSse(received);
    // What is no answer yet and has an event id: the stream may be taken up again.
    sendEvent(
      received,
      { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "on" } },
      "e",
    );
  };
  const bridge = await start();
  await expect.poll(() => streams.length).toBe(1);
  bridge.say(`{"jsonrpc":"2.0","id":1,${CALL}}`);
  await expect.poll(() => bridge.answers.filter(({ method }) => method !== undefined).length).toBe(2);
  known = undefined;
  for (const { response } of streams.splice(0)) response.end();
  await expect.poll(() => streams.length, { timeout: 8000 }).toBe(1);
  const [stream] = streams;
  if (stream !== undefined)
    sendEvent(stream, { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "again" } });
  await expect.poll(() => JSON.stringify(bridge.answers), { timeout: 5000 }).toContain("again");
  // What was asked in the old session has no other answer.
  expect(await answerTo(bridge, 1)).toHaveProperty("error");
  const { body } = await app.rest("GET /audit-events", { action: "session.end", outcome: "success" });
  const ended = [Object(body).items].flat().filter(({ details }) => details.reason === "ended_by_server");
  // The server refused a stream alone, which need not be for its session.
  expect(ended).toEqual([]);
}, 30_000);
