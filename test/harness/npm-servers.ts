import { join, resolve } from "node:path";
import { startChild } from "../../demo/children.ts";
import { freePort } from "./app.ts";

const MODULES = resolve(import.meta.dirname, "../../node_modules");

/** The published `server-everything`, serving streamable HTTP. MUST be stopped. */
export async function startEverything(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const entry = join(MODULES, "@modelcontextprotocol/server-everything/dist/index.js");
  const env = { PORT: String(port) };
  const child = await startChild({ args: [entry, "streamableHttp"], env, readyLine: "listening on port" });
  return { url: `http://127.0.0.1:${port}/mcp`, stop: () => child.stop() };
}
