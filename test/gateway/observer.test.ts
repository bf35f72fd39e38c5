import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createGatewayMetrics } from "../../src/gateway/metrics.ts";
import { call, post, request } from "./client.ts";
import { startHarness, type Harness } from "./harness.ts";
import { plainServer, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let behave: (received: Received) => void = plainServer;
const listed: string[][] = [];
const health: string[] = [];
const used: string[] = [];
const denied: string[] = [];
const registry = new Registry();

beforeAll(async () => {
  harness = await startHarness({
    observer: {
      toolsListed: (_, tools) => listed.push(tools.map((tool) => tool.name)),
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
  expect(listed).toEqual([["read_file", "write_file", "delete_file"]]);
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
