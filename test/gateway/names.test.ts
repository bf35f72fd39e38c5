import { afterAll, beforeAll, expect, test } from "vitest";
import { post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, startUpstream, type TestUpstream } from "./upstream.ts";

// What a lenient upstream could read as something else than what was decided.
let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream(plainServer);
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id, resources: ["file:///open/*", "x:*"] }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

async function codeOf(method: string, params: unknown): Promise<number | undefined> {
  const before = upstream.received.length;
  const { messages } = await post(url, agent.key, request(1, method, params));
  const code = messages[0]?.error?.code;
  expect(upstream.received.length).toBe(code === undefined ? before + 1 : before);
  return code;
}

const reads = (uri: string) => ["resources/read", { uri }] as const;
const subscribes = (uri: string) => ["resources/subscribe", { uri }] as const;
const completes = (uri: string) =>
  ["completion/complete", { ref: { type: "ref/resource", uri }, argument: { name: "a", value: "" } }] as const;

const dotted = [
  "file:///open/../secret",
  "file:///open/./../secret",
  "file:///open/..",
  "file:///open/%2e%2e/secret",
  "file:///open/%2E./secret",
  "file:///open/.%2e%2fsecret",
  "file:///open%2f..%2fsecret",
  "file:///open/..\\secret",
  "file:///open/%5c..%5csecret",
  "file:///open/..?x",
  "file:///open/..#x",
  "file:///open/.\n./secret",
  "file:///open/\u0000",
];

test.each(dotted.flatMap((uri) => [reads(uri), subscribes(uri), completes(uri)]))(
  "refuses %s of %j, which an upstream would resolve to another resource",
  async (method, params) => {
    expect(await codeOf(method, params)).toBe(-32602);
  },
);

const plain = ["file:///open/a..b", "file:///open/...", "file:///open/.hidden", "file:///open/a%2eb", "x:..a"];

test.each(plain.flatMap((uri) => [reads(uri), completes(uri)]))("passes %s of %j", async (method, params) => {
  expect(await codeOf(method, params)).toBeUndefined();
});

const ref = (more: object) => ["completion/complete", { ref: { type: "ref/prompt", name: "p", ...more } }] as const;
const tool = (more: object) => ["tools/call", { name: "t", ...more }] as const;

test.each([
  ref({ Name: "other" }),
  ref({ TYPE: "ref/resource" }),
  ref({ uri: "x:1", Uri: "file:///secret" }),
  tool({ task: { TaskId: "t-1" } }),
  tool({ task: { taſkId: "t-1" } }),
  tool({ _meta: { "io.modelcontextprotocol/related-task": { taskID: "t-1" } } }),
  tool({ _meta: { "io.modelcontextprotocol/Related-Task": { taskId: "t-1" } } }),
  tool({ _meta: { ProgressToken: 1 } }),
  ["subscriptions/listen", { notifications: { ResourceSubscriptions: ["file:///secret"] } }] as const,
])("refuses %s of %j, whose names differ from the protocol's by case alone", async (method, params) => {
  expect(await codeOf(method, params)).toBe(-32600);
});

test("takes the same names where they mean nothing", async () => {
  expect(
    await codeOf("tools/call", { name: "t", arguments: { Name: 1, TaskId: 2, ref: { Type: 3 } } }),
  ).toBeUndefined();
  expect(await codeOf("tools/call", { name: "t", _meta: { Other: { TaskId: 1 } } })).toBeUndefined();
});

test("refuses such names in an answer, too", async () => {
  const answer = { jsonrpc: "2.0", id: 7, result: { task: { TaskId: "t-1" } } };
  expect((await post(url, agent.key, answer)).messages[0]?.error?.code).toBe(-32600);
  const related = { _meta: { "io.modelcontextprotocol/related-task": { TASKID: "t-1" } } };
  expect((await post(url, agent.key, { ...answer, result: related })).messages[0]?.error?.message).toContain("case");
});
