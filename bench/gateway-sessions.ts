import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { startProduct } from "./gateway/product.ts";
import { usageOf } from "./gateway/usage.ts";

/*
 * Time until the program serves, and its memory with many sessions, each with a standing event stream open.
 * Run: node bench/gateway-sessions.ts [sessions, default 256]
 */

const SESSIONS = Number(process.argv[2] ?? 256);
const ACCEPT = "application/json, text/event-stream";

const upstream = fork(new URL("./gateway/role-upstream.ts", import.meta.url), ["sessions"]);
const [up]: { port: number }[] = await once(upstream, "message");
const product = await startProduct({ everything: `http://127.0.0.1:${up?.port}/0/mcp` });
try {
  const url = `http://127.0.0.1:${product.port}/gateway/everything/mcp`;
  await sleep(500);
  const idle = usageOf(product.pid).rssBytes;
  for (let id = 1; id <= SESSIONS; id += 1) await openSession(url, product.agentKey, id);
  await sleep(500);
  const full = usageOf(product.pid).rssBytes;
  const each = (full - idle) / SESSIONS / 1024;
  console.log(
    `ready after ${product.readyMs.toFixed(0)} ms, idle ${mega(idle)} MB, ${SESSIONS} sessions with open streams ${mega(full)} MB, ${each.toFixed(0)} KB each`,
  );
} finally {
  await product.stop();
  upstream.kill("SIGKILL");
}
process.exit();

async function openSession(target: string, key: string, id: number): Promise<void> {
  const common = { authorization: `Bearer ${key}` };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
  const opened = await request(target, {
    method: "POST",
    headers: { ...common, "content-type": "application/json", accept: ACCEPT },
    body: JSON.stringify({ jsonrpc: "2.0", id, method: "initialize", params }),
  });
  await opened.body.text();
  const session = String(opened.headers["mcp-session-id"]);
  const headers = { ...common, accept: "text/event-stream", "mcp-session-id": session };
  const stream = await request(target, { method: "GET", headers, bodyTimeout: 0 });
  if (stream.statusCode !== 200) throw new Error(`no stream: ${stream.statusCode}`);
  stream.body.on("error", () => undefined);
}

function mega(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
