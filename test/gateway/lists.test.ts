import { afterAll, beforeAll, expect, test } from "vitest";
import { collectGarbage } from "../../src/lib/collect-garbage.ts";
import { post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendJson, startUpstream, type TestUpstream } from "./upstream.ts";

const USER_AGENTS = Array.from({ length: 16 }, (_item, index) => `client-${index}`);

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let toolBytes = 0;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => {
    const description = "x".repeat(toolBytes);
    const tools = ["read_file", "drop_table"].map((name) => ({ name, description }));
    sendJson(received, result(received, { tools }));
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id, tools: ["*_file"] }]);
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

test.each([
  ["of a size that is kept", 200_000],
  ["that is too large to be kept", 2_000_000],
])("a list %s does not fill the memory, whatever its clients call themselves", async (_what, bytes) => {
  const list = async (name: string) => {
    const answer = await post(`${harness.url}/gateway/s/mcp`, agent.key, request(1, "tools/list"), {
      headers: { "user-agent": name },
    });
    expect(answer.messages).toMatchObject([{ result: { tools: [{ name: "read_file" }] } }]);
  };
  toolBytes = bytes;
  await list("first");
  const before = heldBytes();
  for (const name of USER_AGENTS) await list(name);
  expect(heldBytes() - before).toBeLessThan(4 * bytes);
});

function heldBytes(): number {
  upstream.received.length = 0;
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}
