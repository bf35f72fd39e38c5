import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { z } from "zod";

/** The whole program, started as a person starts it, with one agent and its key. */
export interface Product {
  readonly pid: number;
  readonly port: number;
  /** From the start of the process until it said that it can serve. */
  readonly readyMs: number;
  /** Of an agent that is assigned to every server, each with globs. */
  readonly agentKey: string;
  readonly stop: () => Promise<void>;
}

const BIN = fileURLToPath(new URL("../../bin/runlayer.js", import.meta.url));
const Created = z.object({ key: z.string() });

/** Where an upstream is: its URL, or what starts it as a child. */
export type Upstream = string | { readonly command: string; readonly args: readonly string[]; readonly cwd: string };

/** Serves the upstreams given by name, with everything on that a first start has on. */
export async function startProduct(
  servers: Readonly<Record<string, Upstream>>,
  auditDurability: string = "before-dispatch",
  policies: readonly unknown[] = [],
): Promise<Product> {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-bench-"));
  const port = await freePort();
  const owner = `rl_org_${randomBytes(24).toString("hex")}`;
  const env = {
    ...process.env,
    RUNLAYER_DATA_DIR: dataDir,
    RUNLAYER_PORT: String(port),
    RUNLAYER_BOOTSTRAP_KEY: owner,
    RUNLAYER_LOG_LEVEL: "warn",
    ...(process.geteuid?.() === 0 ? { RUNLAYER_STDIO_USER: "nobody" } : {}),
  };
  const startedAt = performance.now();
  const flags = (process.env["BENCH_NODE_FLAGS"] ?? "").split(" ").filter((flag) => flag !== "");
  const child = spawn(process.execPath, [...flags, BIN, "serve"], { env, stdio: ["ignore", "ignore", "inherit"] });
  const exited = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const url = `http://127.0.0.1:${port}`;
    await untilReady(url);
    const readyMs = performance.now() - startedAt;
    const call = (method: string, route: string, body: unknown) => rest({ method, url: url + route, owner, body });
    await call("PATCH", "/api/v1/organization", { auditDurability });
    for (const [name, target] of Object.entries(servers)) {
      await call("POST", "/api/v1/servers", { name, ...registrationOf(target) });
    }
    for (const policy of policies) await call("POST", "/api/v1/policies", policy);
    const tools = ["read_*", "write_file", "*_search"];
    const assigned = Object.keys(servers).map((server) => ({ server, tools }));
    const created = await call("POST", "/api/v1/agents", { name: "bench", type: "custom", servers: assigned });
    return { pid: child.pid ?? 0, port, readyMs, agentKey: Created.parse(created).key, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function registrationOf(upstream: Upstream): object {
  if (typeof upstream !== "string") return { ...upstream, transport: "stdio", confirm: true };
  const credential = { type: "bearer", token: "upstream-token" };
  return { url: upstream, transport: "streamable-http", allowPrivateNetwork: true, credential };
}

async function untilReady(url: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries += 1) {
    const status = await request(`${url}/readyz`).then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      },
      () => 0,
    );
    if (status === 200) return;
    await sleep(10);
  }
  throw new Error("the program did not become ready");
}

async function rest(call: { method: string; url: string; owner: string; body: unknown }): Promise<unknown> {
  const { statusCode, body } = await request(call.url, {
    method: call.method,
    headers: { authorization: `Bearer ${call.owner}`, "content-type": "application/json" },
    body: JSON.stringify(call.body),
  });
  const text = await body.text();
  if (statusCode >= 300) throw new Error(`${call.method} ${call.url} answered ${statusCode}: ${text}`);
  return JSON.parse(text);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
  return typeof address === "object" && address !== null ? address.port : 0;
}
