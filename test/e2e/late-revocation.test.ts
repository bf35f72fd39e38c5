import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { plainServer, startUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/* A key that ends between the beginning of its request and the change that it asks for changes nothing and reads nothing. */

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

async function makeKey(name: string, more: object = {}): Promise<{ key: string; revoke: () => Promise<void> }> {
  const { body } = await app.rest("POST /api-keys", { name, role: "admin", ...more });
  const id = textAt(body, "apiKey", "id");
  const revoke = async () => {
    expect((await app.rest(`POST /api-keys/${id}/revoke`, { confirm: true })).status).toBe(200);
  };
  return { key: textAt(body, "secret"), revoke };
}

const Event = z.object({ action: z.string(), actor: z.object({ name: z.string() }) });

const agentNames = async (): Promise<string> => JSON.stringify((await app.rest("GET /agents")).body);

/** Sends the head of a request, which says who calls, then does something, then sends the rest; gives what is answered. */
async function sendInTwo(
  { path, key, input }: { path: string; key: string; input: unknown },
  between: () => Promise<void>,
): Promise<string> {
  const { hostname, port, host } = new URL(app.url);
  const body = JSON.stringify(input);
  const socket = connect(Number(port), hostname);
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: Bearer ${key}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    "Mcp-Protocol-Version: 2026-07-28",
    "Mcp-Method: tools/call",
    `Mcp-Name: ${String(at(input, "params", "name"))}`,
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    "Expect: 100-continue",
    "Connection: close",
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  let answer = String((await once(socket, "data"))[0]);
  expect(answer).toContain("100 Continue");
  await between();
  socket.write(body);
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
const call = (name: string, given: object) => ({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name, arguments: given, _meta: META },
});

test.each([
  ["rest", "/api/v1/agents", { name: "late-rest", type: "custom" }],
  ["mcp", "/mcp", call("create_agent", { name: "late-mcp", type: "custom" })],
  ["mcp-read", "/mcp", call("get_audit_logs", {})],
])("a key that is revoked before the end of its request is not served: %s", async (name, path, input) => {
  const { key, revoke } = await makeKey(`stolen-${name}`);
  const answer = await sendInTwo({ path, key, input }, revoke);
  expect(answer).toContain("unauthenticated");
  expect(answer).not.toContain("leafHash");
  expect(await agentNames()).not.toContain("late-");
});

test("a key that is revoked while its call waits for a server changes nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const revoked = Promise.withResolvers<void>();
  const upstream = await startUpstream((received) => {
    asked.resolve();
    void revoked.promise.then(() => plainServer(received));
  });
  const { key, revoke } = await makeKey("stolen-patient");
  const server = { name: "late-server", transport: "streamable-http", url: `${upstream.url}/mcp` };
  const answered = app.rest("POST /servers", { ...server, allowPrivateNetwork: true }, key);
  await asked.promise;
  await revoke();
  revoked.resolve();
  expect(await answered).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  expect(JSON.stringify((await app.rest("GET /servers")).body)).not.toContain("late-server");
  await upstream.close();
});

test.each(["revoked", "suspended"])("no change of a key comes behind its end in the log: %s", async (end) => {
  const isRevoked = end === "revoked";
  await app.rest("POST /members", { email: `${end}@example.org`, name: end, role: "admin" });
  const { key, revoke } = await makeKey(end, { member: `${end}@example.org` });
  const suspend = async () => {
    const { status } = await app.rest(`PATCH /members/${end}@example.org`, { status: "suspended" });
    expect(status).toBe(200);
  };
  const create = (n: number) => app.rest("POST /agents", { name: `${end}-${n}`, type: "custom" }, key);
  const before = Array.from({ length: 30 }, (_, n) => create(n));
  const ended = isRevoked ? revoke() : suspend();
  const after = Array.from({ length: 30 }, (_, n) => create(30 + n));
  await Promise.all([...before, ended, ...after]);
  const { body } = await app.rest("GET /audit-events", { order: "desc", limit: 200 });
  const events = z.object({ items: z.array(Event) }).parse(body).items;
  const last = events.findIndex(({ action }) => action === (isRevoked ? "key.revoke" : "member.update"));
  const isOwn = ({ actor }: z.output<typeof Event>): boolean => actor.name === end;
  expect(events.slice(0, last).filter(isOwn)).toEqual([]);
  expect(events.some(isOwn)).toBe(true);
});
