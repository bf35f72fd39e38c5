import { afterAll, beforeAll, expect, test } from "vitest";
import { post, request, type Message } from "../gateway/client.ts";
import { plainServer, result, sendJson, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

// What tools are called on /gateway/mcp, and what is listed where they are too many.
let app: TestApp;
let first: TestUpstream;
let second: TestUpstream;
let large: TestUpstream;

beforeAll(async () => {
  app = await startTestApp();
  first = await startUpstream(plainServer);
  second = await startUpstream(plainServer);
  large = await startUpstream((received) => {
    if (received.message.method !== "tools/list") return plainServer(received);
    const tools = Array.from({ length: 70 }, (_item, index) => ({
      name: `report_${index}`,
      description: index === 42 ? "Sends the quarterly invoice to a customer" : "Makes a report",
      inputSchema: { type: "object", properties: { n: { type: "number" } } },
    }));
    return sendJson(received, result(received, { tools }));
  });
  for (const [name, { url }] of Object.entries({ first, second, large })) {
    const endpoint = { transport: "streamable-http", url: `${url}/mcp`, allowPrivateNetwork: true };
    expect(at((await app.rest("POST /servers", { name, ...endpoint })).body, "discovery", "state")).toBe("ok");
  }
  await app.rest("POST /skills", {
    name: "greet",
    description: "Greets",
    code: "export default () => ({ hello: 1 });",
  });
});
afterAll(async () => {
  await app.close();
  for (const upstream of [first, second, large]) await upstream.close();
});

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };

interface Connected {
  readonly headers: Record<string, string>;
  readonly key: string;
  readonly ask: (method: string, params?: object) => Promise<Message>;
  readonly raw: (body: string) => Promise<Message>;
  readonly names: () => Promise<string[]>;
}

async function connect(name: string, servers: string[], query = ""): Promise<Connected> {
  const { body } = await app.rest("POST /agents", { name, type: "custom", servers });
  const key = textAt(body, "key");
  const url = `${app.url}/gateway/mcp${query}`;
  const opened = await post(url, key, request(1, "initialize", INITIALIZE));
  const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const raw = async (message: string): Promise<Message> => {
    const [answer] = (await post(url, key, message, { headers })).messages.slice(-1);
    if (answer === undefined) throw new Error("no answer");
    return answer;
  };
  const ask = (method: string, params: object = {}) => raw(JSON.stringify(request(2, method, params)));
  const names = async (): Promise<string[]> => {
    const tools = (await ask("tools/list")).result?.["tools"];
    return (Array.isArray(tools) ? tools : []).map((tool) => textAt(tool, "name"));
  };
  return { headers, key, ask, raw, names };
}

test("plain names are kept by the server that was assigned first; prefixed ones always lead to their tool", async () => {
  const { ask, names } = await connect("plain", ["second", "first"], "?names=plain");
  expect((await names()).toSorted()).toEqual(
    ["read_file", "write_file", "delete_file"]
      .flatMap((tool) => [tool, `first__${tool}`])
      .concat("skill__greet")
      .toSorted(),
  );
  const callsOf = ({ received }: TestUpstream) =>
    received.filter(({ message }) => message.method === "tools/call").length;
  const before = [callsOf(first), callsOf(second)];
  for (const name of ["read_file", "second__read_file", "first__read_file"])
    expect((await ask("tools/call", { name, arguments: {} })).result).toBeDefined();
  expect([callsOf(first) - (before[0] ?? 0), callsOf(second) - (before[1] ?? 0)]).toEqual([1, 2]);
  expect((await ask("tools/call", { name: "report_1", arguments: {} })).error?.code).toBe(-32_011);
});

test("a policy that hides a tool does not make its plain name another server's", async () => {
  const { ask, names } = await connect("stable", ["first", "second"], "?names=plain");
  const policy = {
    name: "no-delete-on-first",
    effect: "deny",
    principals: { agents: ["stable"] },
    resources: { servers: ["first"], tools: ["delete_file"] },
  };
  expect((await app.rest("POST /policies", policy)).body["code"]).toBeUndefined();
  const shown = await names();
  expect(shown).not.toContain("delete_file");
  expect(shown).toContain("second__delete_file");
  expect((await ask("tools/call", { name: "delete_file", arguments: {} })).error?.data).toMatchObject({
    policies: [{ name: "no-delete-on-first" }],
  });
});

test("names are those that the session was opened with, and prefixed where nothing was asked for", async () => {
  const plain = await connect("switches", ["first"], "?names=plain");
  const moved = await post(`${app.url}/gateway/mcp`, plain.key, request(2, "tools/list"), plain);
  expect([moved.status, moved.messages[0]?.error?.code]).toEqual([400, -32_600]);
  const prefixed = await connect("prefixed", ["first"]);
  expect((await prefixed.ask("tools/call", { name: "read_file", arguments: {} })).error?.code).toBe(-32_011);
});

test("too many tools are searched for and called by their names, with their arguments as written", async () => {
  const { ask, raw, names } = await connect("many-tools", ["large", "first"]);
  expect(await names()).toEqual(["search_tools", "call_tool", "skill__greet"]);
  const found = await ask("tools/call", { name: "search_tools", arguments: { query: "send invoice", limit: 3 } });
  expect(at(found.result, "structuredContent", "tools", 0)).toMatchObject({
    name: "large__report_42",
    inputSchema: { type: "object" },
  });
  expect(at(found.result, "structuredContent", "total")).toBe(74);
  const wrapped = '{"name":"large__report_42","arguments":{"n": 9007199254740993}}';
  const called = await raw(
    `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"call_tool","arguments":${wrapped}}}`,
  );
  expect(called.result).toMatchObject({ content: [{ type: "text" }] });
  expect(large.received.at(-1)?.body).toContain('"name":"report_42"');
  expect(large.received.at(-1)?.body).toContain('"arguments":{"n": 9007199254740993}');
  expect((await ask("tools/call", { name: "first__read_file", arguments: {} })).result).toBeDefined();
  const skill = await ask("tools/call", { name: "call_tool", arguments: { name: "skill__greet" } });
  expect(at(skill.result, "structuredContent")).toEqual({ hello: 1 });
  const { body } = await app.rest("GET /audit-events", { agent: "many-tools", action: "tool.call" });
  expect(at(body, "items", 0, "resource", "name")).toBe("large/report_42");
  const { body: lists } = await app.rest("GET /audit-events", {
    agent: "many-tools",
    action: "tool.list",
    order: "desc",
  });
  expect(at(lists, "items", 0, "details")).toMatchObject({ query: "send invoice", count: 74 });
});

test("a call through `call_tool` is denied, held and refused as the tool itself is", async () => {
  const { ask } = await connect("wrapped", ["large"]);
  for (const [effect, tool] of [
    ["deny", "report_1"],
    ["require_approval", "report_2"],
  ]) {
    const scope = { principals: { agents: ["wrapped"] }, resources: { servers: ["large"], tools: [tool] } };
    const name = `wrapped-${String(effect).replaceAll("_", "-")}`;
    expect((await app.rest("POST /policies", { name, effect, ...scope })).body["code"]).toBeUndefined();
  }
  const call = (given: object) => ask("tools/call", { name: "call_tool", arguments: given });
  expect((await call({ name: "large__report_1" })).error).toMatchObject({ code: -32_011, data: { reason: "policy" } });
  const held = call({ name: "large__report_2", arguments: { n: 1 } });
  await expect.poll(async () => at((await app.rest("GET /approvals", {})).body, "total")).toBe(1);
  const { body } = await app.rest("GET /approvals", {});
  expect(JSON.stringify(at(body, "items", 0))).toContain("report_2");
  await app.rest(`POST /approvals/${textAt(body, "items", 0, "id")}/decide`, { decision: "approve" });
  expect((await held).result).toBeDefined();
  for (const name of ["call_tool", "search_tools", "first__read_file", "nothing"])
    expect((await call({ name })).error?.code).toBe(-32_011);
  for (const wrong of [{}, { name: 1 }, { name: "x", other: 1 }, { name: "x", arguments: [] }])
    expect((await call(wrong)).error?.code).toBe(-32_602);
  expect((await ask("tools/call", { name: "search_tools", arguments: { limit: 1 } })).error?.code).toBe(-32_602);
});
