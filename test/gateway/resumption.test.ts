import { afterAll, beforeAll, expect, test } from "vitest";
import { call, openStream, post, request, streamInit, type OpenStream } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, sendEvent, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

const STATELESS = { "mcp-protocol-version": "2025-11-25" };

let harness: Harness;
let upstream: TestUpstream;
let alice: AgentKey;
let url: string;
/** What the server answers whoever resumes from this event. */
const answers = new Map<string, object>();
/** Calls whose streams stand open. */
const working = new Set<Received>();

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => {
    const { method } = received.message;
    if (method === "tools/call" || method === "tools/list") return letPoll(received);
    if (received.method === "GET") return answerLate(received);
    return plainServer(received);
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  alice = await harness.addAgent("alice", [{ serverId: server.id, tools: ["a*"] }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

/** As 2025-11-25 lets a server do: it gives a place to come back to and closes the stream. */
function letPoll(received: Received): void {
  const place = `ev-${answers.size}`;
  const tools = ["a1", "b1"].map((name) => ({ name }));
  const value = received.message.method === "tools/list" ? { tools } : { content: [received.message.params] };
  answers.set(place, { jsonrpc: "2.0", id: received.message.id, result: value });
  startSse(received);
  received.response.write(`id: ${place}\nretry: 10\ndata: \n\n`);
  const name = received.message.params?.["name"];
  if (name === "a-answered") sendEvent(received, answers.get(place), "ev-answer");
  if (name !== "a-slow") return void received.response.end();
  working.add(received);
  received.response.on("close", () => working.delete(received));
}

function answerLate(received: Received): void {
  // As the SDK's servers do: one connection for a stream.
  if (working.size > 0) return void received.response.writeHead(409).end();
  startSse(received);
  sendEvent(received, answers.get(String(received.headers["last-event-id"])), "ev-last");
  received.response.end();
}

/** The event id that the client has when the server closes its stream. */
async function placeOf(message: object, headers: Record<string, string>): Promise<string> {
  const stream = await openStream(url, streamInit(alice.key, message, headers));
  const place = (await stream.next())?.id ?? "";
  expect(await stream.next()).toBeUndefined();
  return place;
}

function resume(place: string, headers: Record<string, string>): Promise<OpenStream> {
  return openStream(url, streamInit(alice.key, undefined, { ...headers, "last-event-id": place }));
}

async function openSession(): Promise<Record<string, string>> {
  const opened = await post(url, alice.key, request(1, "initialize", {}));
  return { ...STATELESS, "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
}

test("brings the answer to whoever comes back for it, without a session too, and records it", async () => {
  const [first, second] = [await placeOf(call(3, "a1"), STATELESS), await placeOf(call(3, "a2"), STATELESS)];
  for (const [place, name] of [
    [second, "a2"],
    [first, "a1"],
  ] as const)
    expect((await (await resume(place, STATELESS)).next())?.message).toMatchObject({
      id: 3,
      result: { content: [{ name }] },
    });
  const events = (await harness.events("tool.call")).slice(-2);
  expect(events).toMatchObject([
    { outcome: "success", details: { tool: "a2" } },
    { outcome: "success", details: { tool: "a1" } },
  ]);
  expect(harness.problems).toEqual([]);
});

test.each([true, false])(
  "filters a list that comes late, whatever its id was used for since (session: %s)",
  async (has) => {
    const headers = has ? await openSession() : STATELESS;
    const place = await placeOf(request(4, "tools/list"), headers);
    await placeOf(call(4, "a1"), headers);
    const list = await (await resume(place, headers)).next();
    expect(list?.message).toMatchObject({ id: 4, result: { tools: [{ name: "a1" }] } });
  },
);

test.each([
  ["lost its connection", true],
  ["lost it without a word, so that nobody knows yet", false],
])("brings the answer to a client that %s, and records one call", async (_how, isKnown) => {
  const session = await openSession();
  const before = (await harness.events("tool.call")).length;
  const lost = await openStream(url, streamInit(alice.key, call(5, "a-slow"), session));
  const place = (await lost.next())?.id ?? "";
  if (isKnown) {
    lost.close();
    await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  }
  const resumed = await resume(place, session);
  expect((await resumed.next())?.message).toMatchObject({ id: 5, result: { content: [{ name: "a-slow" }] } });
  if (!isKnown) expect(await lost.next()).toBeUndefined();
  expect((await harness.events("tool.call")).slice(before)).toMatchObject([{ outcome: "success" }]);
  expect(harness.problems).toEqual([]);
});

test("a call that its client took back before it went away waits for nobody", async () => {
  const session = await openSession();
  const gone = await openStream(url, streamInit(alice.key, call(6, "a-slow"), session));
  await gone.next();
  const params = { requestId: 6 };
  await post(url, alice.key, { jsonrpc: "2.0", method: "notifications/cancelled", params }, { headers: session });
  gone.close();
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "client_disconnected" });
});

test("brings an answer again that was written and did not arrive, and records it once", async () => {
  const session = await openSession();
  const before = (await harness.events("tool.call")).length;
  const lost = await openStream(url, streamInit(alice.key, call(7, "a-answered"), session));
  const place = (await lost.next())?.id ?? "";
  expect((await lost.next())?.message).toMatchObject({ id: 7 });
  lost.close();
  for (let again = 0; again < 2; again += 1)
    expect((await (await resume(place, session)).next())?.message).toMatchObject({ id: 7, result: {} });
  expect((await harness.events("tool.call")).slice(before)).toMatchObject([{ outcome: "success" }]);
  expect(harness.problems).toEqual([]);
});

test.each([
  [
    "takes it back",
    "client_cancelled",
    { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 8 } },
  ],
  ["ends its session", "session_ended", undefined],
])("a lost call has its event when its client %s", async (_what, reason, message) => {
  const session = await openSession();
  const open = harness.audit.openDecisions;
  const lost = await openStream(url, streamInit(alice.key, call(8, "a-slow"), session));
  await lost.next();
  lost.close();
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  expect(harness.audit.openDecisions).toBe(open + 1);
  if (message === undefined)
    await fetch(url, { method: "DELETE", headers: { authorization: `Bearer ${alice.key}`, ...session } });
  else await post(url, alice.key, message, { headers: session });
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason });
  expect(harness.audit.openDecisions).toBe(open);
});
