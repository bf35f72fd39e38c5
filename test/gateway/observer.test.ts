import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createGatewayMetrics } from "../../src/gateway/metrics.ts";
import { call, post, request } from "./client.ts";
import { startHarness, type Harness } from "./harness.ts";
import { plainServer, result, sendJson, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let behave: (received: Received) => void = plainServer;
const listed: { readonly tools: readonly string[]; readonly earlier: ReadonlySet<string> | undefined }[] = [];
const health: string[] = [];
const used: string[] = [];
const denied: string[] = [];
const registry = new Registry();

beforeAll(async () => {
  harness = await startHarness({
    observer: {
      toolsListed: (_, { tools, earlier }) => listed.push({ tools: tools.map(({ name }) => name), earlier }),
      health: (_, { state }) => health.push(state),
      keyUsed: ({ keyId }) => used.push(keyId),
      keyDenied: (keyId) => denied.push(keyId),
    },
    metrics: createGatewayMetrics(registry, () => ({
      audit: harness.audit,
      liveSessions: () => harness.gateway.sessions().length,
      liveExchanges: () => harness.gateway.liveExchanges,
    })),
  });
  upstream = await startUpstream((received) => behave(received));
});

afterEach(() => void vi.useRealTimers());

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

test("tells of tools when they change, of health with each answer, of keys, and counts", async () => {
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  const agent = await harness.addAgent("a", [{ serverId: server.id, tools: ["read_file"] }]);
  const url = `${harness.url}/gateway/s/mcp`;
  await post(url, agent.key, request(1, "tools/list"));
  await post(url, agent.key, request(2, "tools/list"));
  // The whole list, not the agent's view of it, and once.
  expect(listed).toEqual([{ tools: ["read_file", "write_file", "delete_file"], earlier: new Set() }]);
  expect(health).toEqual(["ok", "ok"]);
  expect(used).toEqual([agent.keyId, agent.keyId]);
  behave = ({ response }) => void response.writeHead(401).end();
  await post(url, agent.key, call(3, "read_file"));
  expect(health.at(-1)).toBe("unauthorized");
  await post(url, agent.key, call(4, "delete_file"));
  const metrics = await registry.metrics();
  expect(metrics).toContain('runlayer_gateway_calls_total{server="s",outcome="success"} 2');
  expect(metrics).toContain('runlayer_gateway_calls_total{server="s",outcome="error"} 1');
  expect(metrics).toContain('runlayer_gateway_denials_total{server="s",reason="not_assigned"} 1');
  expect(metrics).toContain('runlayer_gateway_upstream_errors_total{server="s",kind="credential"} 1');
  expect(metrics).toContain("runlayer_gateway_added_seconds_count 3");
  expect(denied).toEqual([agent.keyId]);
});

test("counts every message that the log says was denied, whatever it was", async () => {
  const server = await harness.addServer({ name: "counted", url: `${upstream.url}/mcp` });
  const agent = await harness.addAgent("asking", [{ serverId: server.id }]);
  const url = `${harness.url}/gateway/counted/mcp`;
  denied.length = 0;
  await post(url, agent.key, request(1, "no/such"));
  await post(url, agent.key, { jsonrpc: "2.0", method: "notifications/no-such" });
  await post(url, agent.key, { jsonrpc: "2.0", id: 9, result: {} });
  const events = await harness.events("message.refused");
  expect(events.map(({ outcome }) => outcome)).toEqual(["denied", "denied", "denied"]);
  const metrics = await registry.metrics();
  expect(metrics).toContain('runlayer_gateway_denials_total{server="counted",reason="unknown_method"} 2');
  expect(metrics).toContain('runlayer_gateway_denials_total{server="counted",reason="not_asked"} 1');
  expect(denied).toEqual([agent.keyId, agent.keyId, agent.keyId]);
});

/** By the cursor that asks for it as JSON; the first one by `1`. */
type Pages = Record<string, { readonly names: readonly string[]; readonly nextCursor?: string }>;

function servePages(pages: Pages): void {
  behave = (received) => {
    const { names = [], ...rest } = pages[JSON.stringify(received.message.params?.["cursor"] ?? 1)] ?? {};
    const tools = names.map((name) => ({ name, inputSchema: { type: "object" } }));
    sendJson(received, result(received, { tools, ...rest }));
  };
}

/** Reads a page as an agent does and gives the cursor to go on with. */
async function startReader(name: string) {
  const server = await harness.addServer({ name, url: `${upstream.url}/mcp` });
  const agent = await harness.addAgent(`reader-of-${name}`, [{ serverId: server.id }]);
  return async (cursor?: unknown) => {
    const params = cursor === undefined ? {} : { cursor };
    const { messages } = await post(`${harness.url}/gateway/${name}/mcp`, agent.key, request(1, "tools/list", params));
    return messages.at(-1)?.result?.["nextCursor"];
  };
}

async function told(walk: () => Promise<unknown>) {
  listed.length = 0;
  await walk();
  return listed.map(({ tools, earlier }) => [tools.join(), earlier === undefined ? "a page" : [...earlier].join()]);
}

test("tells of a list page by page, and of what is gone only after a walk to its end", async () => {
  const list = await startReader("paged");
  const pages: Pages = { 1: { names: ["a", "b"], nextCursor: "2" }, '"2"': { names: ["c"] } };
  servePages(pages);
  const walk = async () => list(await list());
  expect(await told(walk)).toEqual([
    ["a,b", "a page"],
    ["c", "a,b"],
  ]);
  expect(await told(walk)).toEqual([]);
  pages["1"] = { names: ["a"], nextCursor: "2" };
  // The last page is the same, but what it ends is another list.
  expect(await told(walk)).toEqual([
    ["a", "a page"],
    ["c", "a"],
  ]);
  pages["1"] = { names: ["a", "b"], nextCursor: "2" };
  // So it is where the list is again what it was.
  expect(await told(walk)).toEqual([
    ["a,b", "a page"],
    ["c", "a,b"],
  ]);
  pages["1"] = { names: ["a"] };
  expect(await told(() => list())).toEqual([["a", ""]]);
});

test("an old cursor, or one that was used, shows a page and not what is gone", async () => {
  const list = await startReader("gaining");
  const pages: Pages = { 1: { names: ["a"], nextCursor: "2" }, '"2"': { names: ["c"] } };
  servePages(pages);
  const cursor = await list();
  expect(await told(() => list(cursor))).toEqual([["c", "a"]]);
  pages["1"] = { names: ["a", "gained"], nextCursor: "2b" };
  pages['"2b"'] = { names: ["c"] };
  const next = await list();
  expect(await told(() => list(cursor))).toEqual([["c", "a page"]]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
  pages['"2b"'] = { names: ["c", "d"] };
  expect(await told(() => list(next))).toEqual([["c,d", "a page"]]);
});

test("a list whose cursors are new each time is told of once", async () => {
  const list = await startReader("signed");
  let lists = 0;
  behave = (received) => {
    const page = Number(/-(\d)/.exec(JSON.stringify(received.message.params?.["cursor"] ?? ""))?.[1] ?? 0);
    const tools = [{ name: `t${page}`, inputSchema: { type: "object" } }];
    lists += 1;
    sendJson(received, result(received, { tools, ...(page < 2 ? { nextCursor: `${lists}-${page + 1}` } : {}) }));
  };
  const walk = async () => list(await list(await list()));
  expect(await told(walk)).toEqual([
    ["t0", "a page"],
    ["t1", "a page"],
    ["t2", "t0,t1"],
  ]);
  expect(await told(walk)).toEqual([]);
  vi.useFakeTimers({ toFake: ["Date"] });
  // So it is where the beginning was not seen.
  const walkLate = async () => {
    const cursor = await list();
    vi.setSystemTime(Date.now() + 61_000);
    await list(await list(cursor));
  };
  expect(await told(walkLate)).toEqual([
    ["t1", "a page"],
    ["t2", "a page"],
  ]);
  expect(await told(walkLate)).toEqual([]);
});

test("a name that is listed again is not passed on", async () => {
  const server = await harness.addServer({ name: "twice", url: `${upstream.url}/mcp` });
  const agent = await harness.addAgent("reader", [{ serverId: server.id }]);
  const tools = ["first", "second"].map((description) => ({ name: "t", description, inputSchema: { type: "object" } }));
  behave = (received) => sendJson(received, result(received, { tools }));
  const { messages } = await post(`${harness.url}/gateway/twice/mcp`, agent.key, request(1, "tools/list"));
  expect(messages.at(-1)?.result?.["tools"]).toEqual([tools[0]]);
});
