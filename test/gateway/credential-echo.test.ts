import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Credential } from "../../src/domain/server.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, result, sendJson, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

// Servers that repeat the credential that they were given: debug tools, error messages, echo endpoints.
const TOKEN = "up/stream+t0ken-6f1c2e";

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;

const credentials: Readonly<Record<string, Credential>> = {
  bearer: { type: "bearer", token: TOKEN },
  basic: { type: "basic", username: "svc", password: "pa55-w0rd/é" },
  header: { type: "header", name: "X-Api-Key", value: "key-0123456789" },
};
const basic = Buffer.from("svc:pa55-w0rd/é").toString("base64").replace(/=+$/, "");
const secrets = [TOKEN, TOKEN.replace("/", "\\/"), "pa55-w0rd/é", basic, "key-0123456789", "fetched-t0ken-77"];

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream(answer);
  const fetched: Credential = {
    type: "oauth-client-credentials",
    tokenUrl: `${upstream.url}/token`,
    clientId: "c",
    clientSecret: "cl1ent-secret",
  };
  const ids: string[] = [];
  for (const [name, credential] of Object.entries({ ...credentials, fetched }))
    ids.push((await harness.addServer({ name, url: `${upstream.url}/mcp` }, { credential })).id);
  agent = await harness.addAgent(
    "a",
    ids.map((serverId) => ({ serverId })),
  );
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

const given = ({ headers }: Received): string => String(headers.authorization ?? headers["x-api-key"]);

async function answer(received: Received): Promise<void> {
  if (received.url === "/token") return sendJson(received, { access_token: "fetched-t0ken-77", token_type: "Bearer" });
  const { method, params } = received.message;
  const also = given(received).startsWith("Basic") ? "pa55-w0rd/é" : "";
  const said = { content: [{ type: "text", text: `I was given ${given(received)} ${also}` }] };
  if (received.method === "GET")
    return stream(received, { jsonrpc: "2.0", method: "notifications/message", params: said });
  if (method !== "tools/call") return plainServer(received);
  if (params?.["name"] === "stream") return stream(received, result(received, said));
  if (params?.["name"] === "escaped")
    return sendJson(received, JSON.stringify(result(received, said)).replaceAll("/", "\\/"));
  if (params?.["name"] === "error") {
    const error = { code: -32000, message: `bad credential ${given(received)}`, data: { got: given(received) } };
    return sendJson(received, { jsonrpc: "2.0", id: received.message.id, error }, { status: 400 });
  }
  sendJson(received, result(received, said));
}

/** In pieces that end in the middle of whatever was given. */
async function stream(received: Received, message: object): Promise<void> {
  const { response } = received;
  response.writeHead(200, { "content-type": "text/event-stream" });
  const text = `data: ${JSON.stringify(message)}\n\n`;
  const at = text.indexOf(given(received).slice(-8)) + 3;
  for (const piece of [text.slice(0, at - 6), text.slice(at - 6, at), text.slice(at)]) {
    response.write(piece);
    await sleep(20);
  }
  response.end();
}

function expectHidden(text: string): void {
  expect(text).toContain("****");
  for (const secret of secrets) expect(text).not.toContain(secret);
}

const servers = ["bearer", "basic", "header", "fetched"];
const ways = ["json", "stream", "escaped", "error"];

test.each(servers.flatMap((server) => ways.map((way) => [server, way] as const)))(
  "an agent does not see the credential that `%s` repeats (%s)",
  async (server, way) => {
    const answered = await post(`${harness.url}/gateway/${server}/mcp`, agent.key, call(1, way));
    expect(answered.messages).toHaveLength(1);
    expect(answered.messages[0]?.id).toBe(1);
    expectHidden(answered.text);
    if (way === "json") expect(answered.text).toContain("I was given");
  },
);

test("not in what a server says on its own either", async () => {
  const listening = await openStream(`${harness.url}/gateway/bearer/mcp`, streamInit(agent.key, undefined));
  expectHidden(JSON.stringify((await listening.next())?.message));
  listening.close();
});

test("an answer without a secret keeps every byte", async () => {
  const listed = await post(`${harness.url}/gateway/bearer/mcp`, agent.key, request(1, "tools/list"));
  expect(listed.messages[0]?.result?.["tools"]).toHaveLength(3);
  expect(listed.text).not.toContain("*");
});
