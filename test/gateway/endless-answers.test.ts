import { afterAll, beforeAll, expect, test } from "vitest";
import { call, post } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { startUpstream, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
let status = 200;
let closed = Promise.withResolvers<void>();

beforeAll(async () => {
  harness = await startHarness();
  // A page that goes on, and does not say when it will.
  upstream = await startUpstream(({ response }) => {
    response.on("close", () => closed.resolve());
    response.writeHead(status, { "content-type": "text/html" });
    response.write("x".repeat(256 * 1024));
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

const message = call("long", "a");
const error = { id: "long", error: {} };

test.each([
  ["a page in answer to a call", 200, message, 502, error],
  ["an error of the server", 500, message, 502, error],
  ["an error that the client made", 400, message, 400, error],
  ["a page in answer to a notification", 200, { jsonrpc: "2.0", method: "notifications/initialized" }, 202, undefined],
] as const)("answers at once when %s does not end, and ends it", async (...[, given, sent, expected, answered]) => {
  status = given;
  closed = Promise.withResolvers();
  const answer = await post(url, agent.key, sent);
  expect(answer.status).toBe(expected);
  if (answered !== undefined) expect(answer.messages).toMatchObject([answered]);
  await closed.promise;
});

test("ends a session when the server's answer to that does not end", async () => {
  status = 200;
  closed = Promise.withResolvers();
  const headers = { authorization: `Bearer ${agent.key}` };
  expect((await fetch(url, { method: "DELETE", headers })).status).toBe(200);
  await closed.promise;
});
