import { afterAll, beforeAll, expect, test } from "vitest";
import { post, request } from "../gateway/client.ts";
import { plainServer, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;
let upstream: TestUpstream;

beforeAll(async () => {
  app = await startTestApp({ RUNLAYER_TRUSTED_PROXIES: "127.0.0.1" });
  upstream = await startUpstream(plainServer);
  await addServer("files");
});
afterAll(async () => {
  await app.close();
  await upstream.close();
});

const url = (query = ""): string => `${app.url}/gateway/mcp${query}`;

async function addServer(name: string): Promise<void> {
  const endpoint = { transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  const { body } = await app.rest("POST /servers", { name, ...endpoint });
  expect(at(body, "discovery", "state")).toBe("ok");
}

async function addAgent(name: string, fields: Record<string, unknown> = {}): Promise<string> {
  const { body } = await app.rest("POST /agents", { name, type: "custom", servers: ["files"], ...fields });
  return textAt(body, "key");
}

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };

async function openSession(key: string): Promise<Record<string, string>> {
  const opened = await post(url(), key, request(1, "initialize", INITIALIZE));
  expect(opened.messages).toMatchObject([{ id: 1, result: {} }]);
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};

/** Numbers and names that do not survive being read and written anew. */
const ODD = String.raw`{"big": 9007199254740993 ,"whole":1.0,"far":1e400,"minus":-0,"small":1E-7,"__proto__":{"n":0.10},"lone":"\ud800"}`;

test("a tool gets its arguments exactly as the agent wrote them, in both eras", async () => {
  const key = await addAgent("exact");
  const headers = await openSession(key);
  const call = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"files__read_file","arguments":${ODD}`;
  const legacy = await post(url(), key, `${call}}}`, { headers });
  expect(legacy.messages).toMatchObject([{ id: 2, result: { content: [{ type: "text" }] } }]);
  expect(upstream.received.at(-1)?.body).toContain(`"arguments":${ODD}`);
  const before = upstream.received.length;
  const modern = await post(url(), key, `${call},"_meta":${JSON.stringify(META)}}}`, {
    headers: { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "files__read_file" },
  });
  expect(modern.messages).toMatchObject([{ id: 2, result: { content: [{ type: "text" }] } }]);
  const sent = upstream.received.slice(before).filter(({ message }) => message.method === "tools/call");
  expect(sent.map(({ body }) => body.includes(`"arguments":${ODD}`))).toEqual([true]);
});

test("a session that moves is decided by where it is now", async () => {
  const policy = {
    name: "not-from-ten",
    effect: "deny",
    principals: { agents: ["moves"] },
    resources: { everything: true },
    actions: ["call_tool"],
    conditions: [{ field: "context.ip", operator: "in_cidr", value: "10.0.0.0/8" }],
  };
  const key = await addAgent("moves");
  expect((await app.rest("POST /policies", policy)).body["code"]).toBeUndefined();
  const headers = await openSession(key);
  const read = (id: number, from: string) =>
    post(url(), key, request(id, "tools/call", { name: "files__read_file", arguments: {} }), {
      headers: { ...headers, "x-forwarded-for": from },
    });
  expect((await read(2, "192.0.2.1")).messages).toMatchObject([{ id: 2, result: {} }]);
  expect((await read(3, "10.1.2.3")).messages).toMatchObject([{ id: 3, error: { code: -32_011 } }]);
  expect((await read(4, "192.0.2.1")).messages).toMatchObject([{ id: 4, result: {} }]);
});

test("an agent with too many sessions loses its own oldest idle one, and takes no place of another agent", async () => {
  const [many, other] = [await addAgent("many"), await addAgent("few")];
  const theirs = await openSession(other);
  const sessions: Record<string, string>[] = [];
  for (let count = 0; count < 101; count += 1) sessions.push(await openSession(many));
  const ping = async (headers = {}, key = many) => (await post(url(), key, request(9, "ping"), { headers })).status;
  expect([await ping(sessions[0]), await ping(sessions[1]), await ping(sessions[100])]).toEqual([404, 200, 200]);
  expect(await ping(theirs, other)).toBe(200);
  const { body } = await app.rest("GET /audit-events", { agent: "many", action: "session.end" });
  expect(at(body, "items", 0, "details")).toMatchObject({ reason: "too_many_sessions" });
});
