import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { load, percentile, type Measured, type Target } from "./gateway/load.ts";

/*
 * What the gateway costs: against the upstream directly, against the least that a Node proxy can do, and against npm's mcp-proxy.
 * Every contender gets its turn in every round, so that whatever else the machine does meets all alike.
 * Run: node bench/gateway.ts [seconds per turn, default 0.8]
 */

const SECONDS = Number(process.argv[2] ?? 0.8);
const ROUNDS = 2;
const WARM_UP_SECONDS = 3;
const CLOCK_TICKS = 100;

interface Usage {
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

interface Contender {
  readonly name: string;
  readonly target: (delay: 0 | 10) => Target;
  readonly usage: () => Promise<Usage>;
}

interface Row {
  readonly contender: Contender;
  cpuMicros: number;
  calls: number;
  seconds: number;
  latencies: number[];
  rssBytes: number;
}

const children: ChildProcess[] = [];

async function main(): Promise<void> {
  const upstream = await startRole("role-upstream.ts", []);
  const origin = `http://127.0.0.1:${upstream.port}`;
  const raw = await startRole("role-raw-proxy.ts", [origin]);
  const contenders: Contender[] = [
    { name: "direct", target: (delay) => plain(upstream.port, delay), usage: upstream.usage },
    { name: "raw node proxy", target: (delay) => plain(raw.port, delay), usage: raw.usage },
  ];
  for (const durability of ["before-dispatch", "before-answer"]) {
    const role = await startRole("role-gateway.ts", [origin, durability]);
    contenders.push({ name: `gateway, ${durability}`, target: (delay) => governed(role, delay), usage: role.usage });
  }
  contenders.push(await startMcpProxy());
  // Until the optimizing compiler has seen the code, a young process is measured and not a server.
  for (const { target } of contenders) await load(target(0), 16, WARM_UP_SECONDS);
  console.log(
    "| upstream | c | through | calls/s | of raw | of direct | CPU s/1000 | x raw | p50 ms | p99 ms | added p50 | added p99 | RSS MB |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
  for (const delay of [0, 10] as const)
    for (const concurrency of [1, 16, 64]) printRows(await measure(contenders, concurrency, delay), concurrency, delay);
}

async function measure(contenders: readonly Contender[], concurrency: number, delay: 0 | 10): Promise<Row[]> {
  const rows = contenders.map((contender): Row => ({
    contender,
    cpuMicros: 0,
    calls: 0,
    seconds: 0,
    latencies: [],
    rssBytes: 0,
  }));
  for (const { contender } of rows) await load(contender.target(delay), concurrency, SECONDS / 4);
  for (let round = 0; round < ROUNDS; round += 1) for (const row of rows) await takeTurn(row, concurrency, delay);
  return rows;
}

async function takeTurn(row: Row, concurrency: number, delay: 0 | 10): Promise<void> {
  const before = await row.contender.usage();
  const measured = await load(row.contender.target(delay), concurrency, SECONDS);
  const after = await row.contender.usage();
  row.cpuMicros += after.cpuMicros - before.cpuMicros;
  row.calls += measured.calls;
  row.seconds += measured.seconds;
  row.latencies.push(...measured.latencies);
  row.rssBytes = after.rssBytes;
}

function printRows(rows: readonly Row[], concurrency: number, delay: number): void {
  const [direct, raw] = rows;
  if (direct === undefined || raw === undefined) return;
  for (const row of rows) {
    const perSecond = row.calls / row.seconds;
    const cpu = row.cpuMicros / row.calls / 1000;
    const all = toMeasured(row);
    const base = toMeasured(direct);
    const cells = [
      `${delay} ms`,
      concurrency,
      row.contender.name,
      perSecond.toFixed(0),
      (perSecond / (raw.calls / raw.seconds)).toFixed(2),
      (perSecond / (direct.calls / direct.seconds)).toFixed(2),
      row === direct ? "–" : cpu.toFixed(3),
      row === direct ? "–" : (cpu / (raw.cpuMicros / raw.calls / 1000)).toFixed(2),
      percentile(all, 0.5).toFixed(2),
      percentile(all, 0.99).toFixed(2),
      (percentile(all, 0.5) - percentile(base, 0.5)).toFixed(2),
      (percentile(all, 0.99) - percentile(base, 0.99)).toFixed(2),
      (row.rssBytes / 2 ** 20).toFixed(0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function toMeasured(row: Row): Measured {
  return { ...row, latencies: row.latencies.toSorted((left, right) => left - right) };
}

function plain(port: number, delay: number): Target {
  return { origin: `http://127.0.0.1:${port}`, path: `/${delay}/mcp`, headers: {} };
}

function governed({ port, key }: { port: number; key: string }, delay: number): Target {
  return {
    origin: `http://127.0.0.1:${port}`,
    path: `/gateway/d${delay}/mcp`,
    headers: { authorization: `Bearer ${key}` },
  };
}

interface Role {
  readonly port: number;
  readonly key: string;
  readonly usage: () => Promise<Usage>;
}

async function startRole(file: string, args: readonly string[]): Promise<Role> {
  const child = fork(new URL(`./gateway/${file}`, import.meta.url), args);
  children.push(child);
  const [hello]: { port: number | string; key?: string }[] = await once(child, "message");
  return {
    port: Number(hello?.port),
    key: hello?.key ?? "",
    async usage() {
      child.send({});
      const [usage]: Usage[] = await once(child, "message");
      if (usage === undefined) throw new Error("the process did not answer");
      return usage;
    },
  };
}

/** npm's mcp-proxy in front of stdio servers, one process for each delay, with the session that it wants. */
async function startMcpProxy(): Promise<Contender> {
  const proxies = await Promise.all([startOneMcpProxy(0), startOneMcpProxy(10)]);
  const [quick, slow] = proxies;
  if (quick === undefined || slow === undefined) throw new Error("mcp-proxy did not start");
  return {
    name: "npm mcp-proxy (stdio upstream)",
    target: (delay) => (delay === 0 ? quick.target : slow.target),
    usage: async () => {
      const [one, other] = [usageOf(quick.pid), usageOf(slow.pid)];
      return { cpuMicros: one.cpuMicros + other.cpuMicros, rssBytes: Math.max(one.rssBytes, other.rssBytes) };
    },
  };
}

async function startOneMcpProxy(delay: number): Promise<{ pid: number; target: Target }> {
  const port = 20_000 + (process.pid % 20_000) + delay;
  const bin = new URL("../node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs", import.meta.url).pathname;
  const server = new URL("./gateway/stdio-server.ts", import.meta.url).pathname;
  const args = [bin, "--server", "stream", "--no-eventStore", "--host", "127.0.0.1", "--port", String(port), "--"];
  const child = spawn(process.execPath, [...args, process.execPath, server, String(delay)], { stdio: "ignore" });
  children.push(child);
  const origin = `http://127.0.0.1:${port}`;
  const session = await openSession(origin);
  const headers = { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" };
  return { pid: child.pid ?? 0, target: { origin, path: "/mcp", headers } };
}

async function openSession(origin: string): Promise<string> {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await request(`${origin}/mcp`, { method: "POST", headers, body }).catch(() => undefined);
    await answer?.body.text();
    const session = answer?.headers["mcp-session-id"];
    if (typeof session === "string") return session;
    await sleep(100);
  }
  throw new Error("mcp-proxy did not open a session");
}

/** Of a process that is not ours to ask (Linux, proc(5)). */
function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const pages = Number(fields[21]);
  return { cpuMicros: (ticks / CLOCK_TICKS) * 1e6, rssBytes: pages * 4096 };
}

try {
  await main();
} finally {
  for (const child of children) child.kill("SIGKILL");
}
