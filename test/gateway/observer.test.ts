import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
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

test("tells of a list page by page, and of what is gone only after a walk to its end", async () => {
  const server = await harness.addServer({ name: "paged", url: `${upstream.url}/mcp` });
  const agent = await harness.addAgent("walker", [{ serverId: server.id }]);
  const pages: Record<string, { readonly names: readonly string[]; readonly nextCursor?: string }> = {
    1: { names: ["a", "b"], nextCursor: "2" },
    '"2"': { names: ["c"] },
  };
  behave = (received) => {
    const { names = [], ...rest } = pages[JSON.stringify(received.message.params?.["cursor"] ?? 1)] ?? {};
    const tools = names.map((name) => ({ name, inputSchema: { type: "object" } }));
    sendJson(received, result(received, { tools, ...rest }));
  };
  const url = `${harness.url}/gateway/paged/mcp`;
  /** Gives the cursor to go on with. */
  const list = async (cursor?: unknown) => {
    const params = cursor === undefined ? {} : { cursor };
    const { messages } = await post(url, agent.key, request(1, "tools/list", params));
    return messages.at(-1)?.result?.["nextCursor"];
  };
  const told = async (walk: () => Promise<unknown>) => {
    listed.length = 0;
    await walk();
    return listed.map(({ tools, earlier }) => [tools.join(), earlier === undefined ? "a page" : [...earlier].join()]);
  };
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
  pages["1"] = { names: ["a"] };
  expect(await told(() => list())).toEqual([["a", ""]]);
});

test("a name that is listed again is not passed on", async () => {
  const server = await harness.addServer({ name: "twice", url: `${upstream.url}/mcp` });
  const agent = await harness.addAgent("reader", [{ serverId: server.id }]);
  const tools = ["first", "second"].map((description) => ({ name: "t", description, inputSchema: { type: "object" } }));
  behave = (received) => sendJson(received, result(received, { tools }));
  const { messages } = await post(`${harness.url}/gateway/twice/mcp`, agent.key, request(1, "tools/list"));
  expect(messages.at(-1)?.result?.["tools"]).toEqual([tools[0]]);
});
