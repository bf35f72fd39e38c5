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
  received.response.end(`id: ${place}\nretry: 10\ndata: \n\n`);
}

function answerLate(received: Received): void {
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
