import { afterAll, beforeAll, expect, test } from "vitest";
import { call, post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, startUpstream, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let reader: AgentKey;
let other: AgentKey;
let url: string;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => {
    received.response.setHeader("set-cookie", "upstream=1");
    received.response.setHeader("www-authenticate", "Basic");
    received.response.setHeader("x-upstream", "secret");
    plainServer(received);
  });
  const files = await harness.addServer(
    { name: "files", url: `${upstream.url}/mcp?x=1` },
    { credential: { type: "bearer", token: "upstream-token" } },
  );
  await harness.addServer({ name: "unassigned", url: `${upstream.url}/mcp` });
  reader = await harness.addAgent("reader", [{ serverId: files.id, tools: ["read_*", "w*e_file"] }]);
  other = await harness.addAgent("other", [{ serverId: files.id }]);
  url = `${harness.url}/gateway/files/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

test("passes a call with its exact bytes and the server's credential, and nothing of the agent's", async () => {
  const body =
    ' {"jsonrpc":"2.0", "id":"a\\u0062", "method":"tools/call","params":{"name":"read_file","arguments":{"n":1.0}}}';
  const answer = await post(url, reader.key, body, { headers: { cookie: "a=b", "x-other": "1", traceparent: "00-1" } });
  expect(answer.status).toBe(200);
  expect(answer.messages).toMatchObject([{ id: "ab", result: { content: [{ type: "text" }] } }]);
  const received = upstream.received.at(-1);
  expect(received?.body).toBe(body);
  expect(received?.url).toBe("/mcp?x=1");
  expect(received?.headers.authorization).toBe("Bearer upstream-token");
  expect(received?.headers).toMatchObject({ traceparent: "00-1" });
  expect(received?.headers.cookie).toBeUndefined();
  expect(received?.headers["x-other"]).toBeUndefined();
  expect(JSON.stringify(received?.headers)).not.toContain(reader.key);
  for (const name of ["set-cookie", "www-authenticate", "x-upstream"]) expect(answer.headers.get(name)).toBeNull();
});

test("records a number that no double holds as it was sent, and says that it is a text", async () => {
  const params = '{"name":"read_file","arguments":{"far":1e999,"big":123456789012345678901234567890,"n":1.50}}';
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  expect((await post(url, reader.key, body)).status).toBe(200);
  expect(upstream.received.at(-1)?.body).toBe(body);
  expect((await harness.events("tool.call")).at(-1)?.details).toMatchObject({
    arguments: { far: "1e999", big: "123456789012345678901234567890", n: 1.5 },
    argumentsAltered: true,
  });
});

test("records one event with decision and outcome, visible at once", async () => {
  await post(url, reader.key, call("audit-1", "read_file", { path: "/x" }), { headers: { "user-agent": "test/1" } });
  const events = await harness.events("tool.call");
  expect(events.at(-1)).toMatchObject({
    actor: { type: "agent", name: "reader", client: "test/1", ip: "127.0.0.1" },
    resource: { type: "tool", name: "files/read_file" },
    outcome: "success",
    details: { tool: "read_file", arguments: { path: "/x" }, server: { name: "files" } },
  });
  expect(events.at(-1)?.durationMs).toBeGreaterThanOrEqual(0);
});

test("denies a tool outside the assignment with -32011 and records it, and the upstream hears nothing", async () => {
  const before = upstream.received.length;
  const answer = await post(url, reader.key, call(5, "delete_file", { path: "/x" }));
  expect(answer.status).toBe(200);
  const [denial] = answer.messages;
  expect(denial).toMatchObject({
    id: 5,
    error: { code: -32011, data: { type: "runlayer.denied", reason: "not_assigned" } },
  });
  expect(upstream.received.length).toBe(before);
  const [event] = (await harness.events("tool.call")).filter((found) => found.outcome === "denied");
  expect(event).toMatchObject({ reason: "not_assigned", details: { tool: "delete_file" } });
  expect(event?.correlationId).toBe(denial?.error?.data?.["correlationId"]);
});

test("shows only what is assigned, with the entries' own bytes", async () => {
  const mine = await post(url, reader.key, request(1, "tools/list"));
  expect(mine.text).toBe(
    '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_file","inputSchema":{"type":"object"}},{"name":"write_file","inputSchema":{"type":"object"}}]}}',
  );
  const all = await post(url, other.key, request(2, "tools/list"));
  expect(all.messages[0]?.result?.["tools"]).toHaveLength(3);
  expect((await harness.events("tool.list")).at(-1)).toMatchObject({ outcome: "success", actor: { name: "other" } });
});

test("answers 401 with a plain challenge for no key and for a wrong one", async () => {
  for (const key of [undefined, "rl_agent_nonsense"]) {
    const answer = await post(url, key, call(1, "read_file"));
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  }
  expect((await harness.events("auth.failure")).length).toBeGreaterThan(0);
});

test("answers 404 alike for a server that is not assigned and one that does not exist, and records both", async () => {
  const unassigned = await post(`${harness.url}/gateway/unassigned/mcp`, reader.key, request(1, "initialize"));
  const missing = await post(`${harness.url}/gateway/missing/mcp`, reader.key, request(1, "initialize"));
  expect([unassigned.status, missing.status]).toEqual([404, 404]);
  expect(unassigned.text).toBe(missing.text);
  const denied = (await harness.events("session.open")).filter((event) => event.outcome === "denied");
  expect(denied.map((event) => event.resource.name)).toEqual(["unassigned", "missing"]);
  expect(denied[0]).toMatchObject({ reason: "not_assigned", actor: { name: "reader" } });
});

test("gives a session id that works for its agent only", async () => {
  const opened = await post(url, reader.key, request(1, "initialize", { protocolVersion: "2025-11-25" }));
  const session = opened.headers.get("mcp-session-id") ?? "";
  expect(session).not.toBe("");
  expect(session).not.toContain("s-1");
  const headers = { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" };
  expect((await post(url, reader.key, call(2, "read_file"), { headers })).status).toBe(200);
  expect(upstream.received.at(-1)?.headers["mcp-session-id"]).toBe("s-1");
  expect((await post(url, other.key, call(2, "read_file"), { headers })).status).toBe(404);
  expect((await post(url, reader.key, call(2, "read_file"), { headers: { "mcp-session-id": "s-1" } })).status).toBe(
    404,
  );
  expect(harness.gateway.sessions()).toHaveLength(1);
  const open = (await harness.events("session.open")).at(-1);
  expect(open).toMatchObject({ outcome: "success" });
  const call2 = (await harness.events("tool.call")).at(-1);
  expect(call2?.sessionId).toBe(open?.sessionId);
  const ended = await fetch(url, { method: "DELETE", headers: { ...headers, authorization: `Bearer ${reader.key}` } });
  expect(ended.status).toBe(200);
  expect((await harness.events("session.end")).at(-1)).toMatchObject({
    sessionId: open?.sessionId,
    details: { reason: "client" },
  });
  expect(harness.gateway.sessions()).toHaveLength(0);
});

test("refuses an unknown method and records it", async () => {
  const answer = await post(url, reader.key, request(9, "tools/execute", {}));
  expect(answer.messages).toMatchObject([{ id: 9, error: { code: -32601 } }]);
  expect((await harness.events("message.refused")).at(-1)).toMatchObject({
    reason: "unknown_method",
    outcome: "denied",
  });
});

test.each([
  ["a batch", [call(1, "read_file")], {}, 400],
  ["an empty body", "", {}, 400],
  ["another content type", call(1, "read_file"), { "content-type": "text/plain" }, 415],
  ["a content encoding", call(1, "read_file"), { "content-encoding": "gzip" }, 400],
  ["an Accept without event streams", call(1, "read_file"), { accept: "application/json" }, 406],
  ["a revision that is unknown", call(1, "read_file"), { "mcp-protocol-version": "1999-01-01" }, 400],
  ["a revision of the future", call(1, "read_file"), { "mcp-protocol-version": "2099-01-01" }, 400],
] as const)("refuses %s", async (...[, body, headers, status]) => {
  const before = upstream.received.length;
  const answer = await post(url, reader.key, body, { headers });
  expect(answer.status).toBe(status);
  expect(answer.messages[0]?.error?.code).toBeLessThan(-32000);
  expect(upstream.received.length).toBe(before);
});

test("refuses a message that is too large with 413", async () => {
  const answer = await post(url, reader.key, call(1, "read_file", { text: "x".repeat(5 * 1024 * 1024) }));
  expect(answer.status).toBe(413);
});

test("passes notifications and answers 202", async () => {
  const answer = await post(url, reader.key, { jsonrpc: "2.0", method: "notifications/initialized" });
  expect(answer.status).toBe(202);
  expect(upstream.received.at(-1)?.message.method).toBe("notifications/initialized");
});

test("refuses an answer to a question that was never asked", async () => {
  const answer = await post(url, reader.key, { jsonrpc: "2.0", id: 3, result: {} });
  expect(answer.status).toBe(400);
});

test("keeps arguments as the setting says", async () => {
  for (const [auditPayloads, expected] of [
    ["none", undefined],
    ["full", { path: "/y" }],
  ] as const) {
    await harness.setSettings({ auditPayloads });
    await post(url, reader.key, call(1, "read_file", { path: "/y" }));
    expect((await harness.events("tool.call")).at(-1)?.details["arguments"]).toEqual(expected);
  }
  await harness.setSettings({ auditPayloads: "digest" });
  await post(url, reader.key, call(1, "read_file", { path: "/y" }));
  expect((await harness.events("tool.call")).at(-1)?.details["argumentsDigest"]).toMatch(/^sha256:[0-9a-f]{64}$/);
});

test("answers calls with before-answer durability as well", async () => {
  await harness.setSettings({ auditDurability: "before-answer" });
  const answer = await post(url, reader.key, call(77, "read_file"));
  expect(answer.messages).toMatchObject([{ id: 77, result: {} }]);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "success" });
});
