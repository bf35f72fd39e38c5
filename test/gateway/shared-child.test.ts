import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, openStream, post, request, streamInit, type Message } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { superviseIn } from "./supervisor.ts";

let place: StdioPlace;
let supervisor: StdioSupervisor;
let harness: Harness;
let alice: AgentKey;
let bob: AgentKey;
let url: string;

beforeAll(async () => {
  place = makeStdioPlace();
  supervisor = superviseIn(place);
  harness = await startHarness({ startChild: (spec) => supervisor.start(spec) });
  const stdio = (name: string, args: readonly string[]) =>
    harness.addServer(
      { name, transport: "stdio", command: place.node, cwd: place.folder, shareable: true },
      { args: [place.script, ...args] },
    );
  const servers = [await stdio("shared", []), await stdio("broken", ["exit"])];
  const assigned = servers.map(({ id }) => ({ serverId: id }));
  alice = await harness.addAgent("alice", assigned);
  bob = await harness.addAgent("bob", assigned);
  url = `${harness.url}/gateway/shared/mcp`;
}, 60_000);

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  place.remove();
});

type Headers = Record<string, string>;

async function open(agent: AgentKey, protocolVersion = "2025-06-18"): Promise<Headers> {
  const params = { protocolVersion, capabilities: { elicitation: {} }, clientInfo: { name: "t", version: "1" } };
  const opened = await post(url, agent.key, request(1, "initialize", params));
  expect(opened.messages[0]).toMatchObject({ id: 1, result: { serverInfo: { name: "stdio-sample" } } });
  const session = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": protocolVersion,
  };
  await post(url, agent.key, { jsonrpc: "2.0", method: "notifications/initialized" }, { headers: session });
  return session;
}

async function use(agent: AgentKey, headers: Headers, message: object): Promise<readonly Message[]> {
  return (await post(url, agent.key, message, { headers })).messages;
}

function said(message: Message | undefined): Record<string, unknown> {
  const content = message?.result?.["content"];
  const first: unknown = Array.isArray(content) ? content[0] : undefined;
  if (typeof first !== "object" || first === null || !("text" in first)) throw new Error(JSON.stringify(message));
  return JSON.parse(String(first.text));
}

const end = (agent: AgentKey, session: Headers) =>
  fetch(url, { method: "DELETE", headers: { ...session, authorization: `Bearer ${agent.key}` } });

test("sessions of all agents share one child, under ids of their own", async () => {
  const [mine, theirs] = [await open(alice), await open(bob)];
  expect(supervisor.count()).toBe(1);
  const calls = [use(alice, mine, call("x", "env")), use(bob, theirs, call("x", "env"))];
  const answers = (await Promise.all(calls)).map(([answer]) => answer);
  expect(answers.map((answer) => answer?.id)).toEqual(["x", "x"]);
  expect(new Set(answers.map((answer) => said(answer)["pid"])).size).toBe(1);
  // The session of one is none of the other's business.
  expect((await post(url, bob.key, call(2, "env"), { headers: mine })).status).toBe(404);
  await end(alice, mine);
  expect(said((await use(bob, theirs, call(3, "env")))[0])["pid"]).toBeDefined();
  await end(bob, theirs);
});

test("progress goes to whose token it is, changes to all, and what is said to nobody in particular to nobody", async () => {
  const [mine, theirs] = [await open(alice), await open(bob)];
  const listening = await openStream(url, streamInit(bob.key, undefined, theirs));
  const asked = (id: number, say: string) =>
    request(id, "tools/call", { name: "progress", arguments: { say }, _meta: { progressToken: "tok" } });
  const [own, other] = await Promise.all([use(alice, mine, asked(7, "hers")), use(bob, theirs, asked(7, "his"))]);
  for (const [messages, word, foreign] of [
    [own, "hers", "his"],
    [other, "his", "hers"],
  ] as const) {
    const text = JSON.stringify(messages);
    expect(messages.find(({ method }) => method === "notifications/progress")?.params).toMatchObject({
      progressToken: "tok",
      message: word,
    });
    expect(said(messages.at(-1))).toEqual({ said: word });
    expect(text).not.toContain(`"${foreign}"`);
    expect(text).not.toContain("notifications/message");
  }
  expect((await listening.next())?.message?.method).toBe("notifications/tools/list_changed");
  listening.close();
  await end(alice, mine);
  await end(bob, theirs);
});

test("the last session at a child hears nothing that belongs to one that left", async () => {
  const [mine, theirs] = [await open(alice), await open(bob)];
  await use(alice, mine, request(2, "resources/subscribe", { uri: "file:///hers" }));
  await use(bob, theirs, request(2, "resources/subscribe", { uri: "file:///his" }));
  await end(alice, mine);
  const listening = await openStream(url, streamInit(bob.key, undefined, theirs));
  // What only she subscribed to was given up with her session.
  await expect
    .poll(async () => said((await use(bob, theirs, call(3, "gossip"))).at(-1)))
    .toEqual({ subscribed: ["file:///his"] });
  await use(bob, theirs, call(4, "gossip"));
  const heard: unknown[] = [];
  for (let count = 0; count < 4; count += 1) heard.push((await listening.next())?.message);
  expect(JSON.stringify(heard)).not.toContain("another");
  expect(heard).toContainEqual(expect.objectContaining({ params: { uri: "file:///his" } }));
  listening.close();
  await end(bob, theirs);
});

test("bounds the subscriptions of one session, and says so", async () => {
  const mine = await open(alice);
  let answers: readonly Message[] = [];
  for (let from = 0; from <= 1000; from += 100)
    answers = (
      await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          use(alice, mine, request(from + index, "resources/subscribe", { uri: `file:///${from + index}` })),
        ),
      )
    ).flat();
  expect(answers).toHaveLength(100);
  for (const { error } of answers) expect(error?.message).toContain("unsubscribe");
  await use(alice, mine, request(5000, "resources/unsubscribe", { uri: "file:///1" }));
  const [free] = await use(alice, mine, request(5001, "resources/subscribe", { uri: "file:///new" }));
  expect(free?.result).toEqual({});
  await end(alice, mine);
});

test("asks no client anything, cancels what a client leaves, and lets no session cancel another's request", async () => {
  const [mine, theirs] = [await open(alice), await open(bob)];
  expect(said((await use(alice, mine, call(1, "ask")))[0])).toMatchObject({ reply: { error: { code: -32601 } } });
  const leaving = new AbortController();
  const left = post(url, alice.key, call(5, "wait"), { headers: mine, signal: leaving.signal }).catch(() => undefined);
  await sleep(100);
  const cancelFive = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } };
  await use(bob, theirs, cancelFive);
  expect(said((await use(bob, theirs, call(6, "cancelled")))[0])).toEqual({ cancelled: 0 });
  leaving.abort();
  await left;
  await expect.poll(async () => said((await use(bob, theirs, call(6, "cancelled")))[0])["cancelled"]).toBe(1);
  await end(alice, mine);
  await end(bob, theirs);
});

test("a child that crashes ends its sessions, and is restarted for new ones, later and later", async () => {
  const [mine, theirs] = [await open(alice), await open(bob)];
  await use(alice, mine, call(1, "crash"));
  await expect.poll(async () => (await post(url, bob.key, call(2, "env"), { headers: theirs })).status).toBe(404);
  const again = await open(bob);
  expect(said((await use(bob, again, call(3, "env")))[0])["pid"]).toBeDefined();
  await end(bob, again);
  const broken = `${harness.url}/gateway/broken/mcp`;
  const tries: string[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1)
    tries.push((await post(broken, alice.key, request(1, "initialize", {}))).text);
  expect(tries[0]).toContain("exit code 7");
  expect(tries.at(-1)).toContain("try again in");
});

test("goes with the gateway, though nobody uses it", async () => {
  await end(alice, await open(alice));
  expect(supervisor.count()).toBe(1);
  harness.bridge.close();
  await expect.poll(() => supervisor.count(), { timeout: 10_000 }).toBe(0);
});
