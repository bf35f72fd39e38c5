import { afterAll, beforeAll, expect, test } from "vitest";
import { post, request, type Posted } from "../gateway/client.ts";
import { plainServer, result, sendEvent, startSse, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/** An event of its own for clients that end lines of event streams at other characters, too. */
const FORGED = ["\u0085", "\u2028", "\u2029"].map((line) => `x${line}${line}data: {}${line}${line}`).join("");
const VERSION = "2026-07-28";
const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};

let app: TestApp;
let upstream: TestUpstream;
const keys = { "/gateway/mcp": "", "/mcp": "" };

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startUpstream((received) => {
    const { method, params } = received.message;
    if (method !== "tools/call") return plainServer(received);
    startSse(received);
    const progressToken = at(params, "_meta", "progressToken");
    const progress = { progressToken, progress: 1, message: FORGED };
    sendEvent(received, { jsonrpc: "2.0", method: "notifications/progress", params: progress });
    sendEvent(received, result(received, { content: [{ type: "text", text: FORGED }] }));
    received.response.end();
  });
  const endpoint = { transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "forger", ...endpoint });
  const { body } = await app.rest("POST /agents", { name: "reader", type: "custom", servers: ["forger"] });
  keys["/gateway/mcp"] = textAt(body, "key");
  keys["/mcp"] = app.ownerKey;
});
afterAll(async () => {
  await app.close();
  await upstream.close();
});

type Path = keyof typeof keys;

/** Both tell of their progress: the answer is an event stream in every revision. */
const calls: Readonly<Record<Path, { readonly name: string; readonly arguments: object }>> = {
  "/gateway/mcp": { name: "forger__read_file", arguments: {} },
  "/mcp": { name: "run_mcp_sweep_scan", arguments: { targets: ["registry"] } },
};

async function callIn(era: string, path: Path): Promise<Posted> {
  const [url, key] = [`${app.url}${path}`, keys[path]];
  const progress = { progressToken: FORGED };
  const call = (meta: object): object => request(FORGED, "tools/call", { ...calls[path], _meta: meta });
  if (era === "stateless") {
    const headers = { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": calls[path].name };
    return post(url, key, call({ ...META, ...progress }), { headers });
  }
  const opened = await post(url, key, request(1, "initialize", INITIALIZE));
  const id = opened.headers.get("mcp-session-id") ?? "";
  const headers = { "mcp-session-id": id, "mcp-protocol-version": "2025-11-25" };
  return post(url, key, call(progress), { headers });
}

test.each([
  ["session", "/gateway/mcp"],
  ["stateless", "/gateway/mcp"],
  ["session", "/mcp"],
  ["stateless", "/mcp"],
] as const)("no text becomes an event of its own, whatever ends a line for the client (%s, %s)", async (era, path) => {
  const { headers, text, messages } = await callIn(era, path);
  expect(headers.get("content-type")).toBe("text/event-stream");
  expect(text).not.toMatch(/[\u0085\u2028\u2029]/);
  expect(messages.length).toBeGreaterThanOrEqual(2);
  expect(messages[0]?.params?.["progressToken"]).toBe(FORGED);
  expect(messages.at(-1)?.id).toBe(FORGED);
  if (path === "/gateway/mcp") {
    expect(messages[0]?.params?.["message"]).toBe(FORGED);
    expect(at(messages.at(-1)?.result, "content", 0, "text")).toBe(FORGED);
  }
});
