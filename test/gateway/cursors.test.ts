import { afterAll, beforeAll, expect, test } from "vitest";
import { post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendJson, startUpstream, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
/** What the next answer gives as the place of the next page. */
let nextCursor: string;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) =>
    sendJson(received, result(received, { tools: [], resources: [], tasks: [], nextCursor })),
  );
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

const METHODS = ["tools/list", "resources/list", "tasks/list"];

test.each(METHODS)("an empty cursor stays empty both ways: %s", async (method) => {
  nextCursor = "";
  const answer = await post(url, agent.key, request(1, method, { cursor: "" }));
  expect(upstream.received.at(-1)?.message.params).toEqual({ cursor: "" });
  expect(answer.messages[0]?.result).toMatchObject({ nextCursor: "" });
});

test.each(METHODS)("takes back every cursor that it gave, however long: %s", async (method) => {
  nextCursor = "c".repeat(200_000);
  const given = (await post(url, agent.key, request(1, method))).messages[0]?.result?.["nextCursor"];
  await post(url, agent.key, request(2, method, { cursor: given }));
  expect(upstream.received.at(-1)?.message.params?.["cursor"]).toBe(nextCursor);
});
