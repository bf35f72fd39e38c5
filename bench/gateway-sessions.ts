import { fork } from "node:child_process";
import { once } from "node:events";
import { request } from "undici";

/*
 * Memory of the gateway with many sessions, each with a standing event stream open.
 * Run: node bench/gateway-sessions.ts [sessions, default 256]
 */

const SESSIONS = Number(process.argv[2] ?? 256);
const ACCEPT = "application/json, text/event-stream";

const upstream = fork(new URL("./gateway/role-session-upstream.ts", import.meta.url), []);
const [up]: { port: number }[] = await once(upstream, "message");
const gateway = fork(new URL("./gateway/role-gateway.ts", import.meta.url), [`http://127.0.0.1:${up?.port}`]);
try {
  const [hello]: { port: string; key: string }[] = await once(gateway, "message");
  const url = `http://127.0.0.1:${hello?.port}/gateway/d0/mcp`;
  const idle = await rssBytes();
  for (let id = 1; id <= SESSIONS; id += 1) await openSession(url, hello?.key ?? "", id);
  const full = await rssBytes();
  const each = (full - idle) / SESSIONS / 1024;
  console.log(
    `idle ${mega(idle)} MB, ${SESSIONS} sessions with open streams ${mega(full)} MB, ${each.toFixed(0)} KB each`,
  );
} finally {
  gateway.kill("SIGKILL");
  upstream.kill("SIGKILL");
}

async function openSession(url: string, key: string, id: number): Promise<void> {
  const common = { authorization: `Bearer ${key}` };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
  const opened = await request(url, {
    method: "POST",
    headers: { ...common, "content-type": "application/json", accept: ACCEPT },
    body: JSON.stringify({ jsonrpc: "2.0", id, method: "initialize", params }),
  });
  await opened.body.text();
  const session = String(opened.headers["mcp-session-id"]);
  const headers = { ...common, accept: "text/event-stream", "mcp-session-id": session };
  const stream = await request(url, { method: "GET", headers, bodyTimeout: 0 });
  if (stream.statusCode !== 200) throw new Error(`no stream: ${stream.statusCode}`);
  stream.body.on("error", () => undefined);
}

async function rssBytes(): Promise<number> {
  gateway.send({});
  const [usage]: { rssBytes: number }[] = await once(gateway, "message");
  return usage?.rssBytes ?? 0;
}

function mega(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
