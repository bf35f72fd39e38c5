import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { load, percentile, type Measured, type Target } from "./gateway/load.ts";
import { startProduct } from "./gateway/product.ts";
import { childrenOf, usageOf } from "./gateway/usage.ts";
import { makeStdioPlace } from "../test/fixtures/mcp/stdio-place.ts";

/*
 * What the gateway costs: the whole program as `runlayer serve` starts it, against the upstream directly, the least that a Node
 * proxy can do, and npm's mcp-proxy. That takes only stdio servers, so the gateway serves the same one, too. In every round each
 * contender gets a short turn, and every ratio is the median of what the rounds gave, so that whatever else the machine does meets all
 * alike. What the optimizing compiler makes of a process is luck that stays with it, a tenth of its CPU: several generations of
 * processes take part. CPU is the kernel's account of all threads (Linux).
 * Run: node bench/gateway.ts [seconds per turn, default 0.5] [rounds of a generation, default 4] [generations, default 3]
 */

const SECONDS = Number(process.argv[2] ?? 0.5);
const ROUNDS = Number(process.argv[3] ?? 4);
const GENERATIONS = Number(process.argv[4] ?? 3);
// Until the optimizing compiler has seen the code, a young process is measured and not a server.
const WARM_UP_SECONDS = 12;
/** As it comes. */
const MCP_PROXY = "npm mcp-proxy";

interface Contender {
  readonly name: string;
  readonly target: (delay: 0 | 10) => Target;
  /** Its own processes. */
  readonly pids: (delay: 0 | 10) => readonly number[];
  /** What does the upstream's work for it. */
  readonly upstreamPids: (delay: 0 | 10) => readonly number[];
}

interface Turn {
  readonly measured: Measured;
  /** Microseconds per call. */
  readonly cpu: number;
  readonly cpuWithUpstream: number;
}

interface Row {
  readonly name: string;
  readonly turns: Turn[];
  rssBytes: number;
}

interface Setting {
  readonly delay: 0 | 10;
  readonly concurrency: number;
  readonly rows: Row[];
}

const DELAYS = [0, 10] as const;
const CONCURRENCIES = [1, 16, 64];

const children: ChildProcess[] = [];
const stops: (() => Promise<void>)[] = [];

async function main(): Promise<void> {
  console.log(
    `${cpus().length} x ${cpus()[0]?.model ?? "?"}, Node ${process.versions.node}, load average ${loads()}\n`,
  );
  const settings = DELAYS.flatMap((delay) =>
    CONCURRENCIES.map((concurrency): Setting => ({ delay, concurrency, rows: [] })),
  );
  for (let generation = 0; generation < GENERATIONS; generation += 1) {
    const contenders = await startContenders();
    for (const { target } of contenders) await load(target(0), 64, WARM_UP_SECONDS);
    for (const setting of settings) await measure(contenders, setting);
    await stopAll();
  }
  console.log(
    "| upstream | c | through | calls/s | of raw | of direct | CPU µs/call | x raw | x less than mcp-proxy | with upstream | added p50 ms | added p99 ms | RSS MB |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
  for (const setting of settings) printRows(setting);
  console.log(`\nload average at the end ${loads()}`);
}

async function startContenders(): Promise<readonly Contender[]> {
  const upstream = await startRole("role-upstream.ts", []);
  const origin = `http://127.0.0.1:${upstream.port}`;
  const raw = await startRole("role-raw-proxy.ts", [origin]);
  const upstreamPids = (): readonly number[] => [upstream.pid];
  const contenders: Contender[] = [
    { name: "direct", target: (delay) => plain(upstream.port, delay), pids: () => [], upstreamPids },
    { name: "raw node proxy", target: (delay) => plain(raw.port, delay), pids: () => [raw.pid], upstreamPids },
  ];
  for (const durability of ["before-dispatch", "before-answer"]) {
    const product = await startProduct({ d0: `${origin}/0/mcp`, d10: `${origin}/10/mcp` }, durability);
    stops.push(product.stop);
    const target = (delay: number): Target => governed(product, delay);
    contenders.push({ name: `gateway, ${durability}`, target, pids: () => [product.pid], upstreamPids });
  }
  contenders.push(
    await startStdioGateway(),
    await startMcpProxy(MCP_PROXY, []),
    await startMcpProxy("same, no event store", ["--no-eventStore"]),
  );
  return contenders;
}

async function stopAll(): Promise<void> {
  // A gateway whose upstream is gone would say so.
  for (const stop of stops.splice(0)) await stop();
  for (const child of children.splice(0)) {
    const hasExited = child.exitCode ?? child.signalCode ?? once(child, "exit");
    child.kill("SIGKILL");
    await hasExited;
  }
}

function loads(): string {
  return loadavg()
    .map((load) => load.toFixed(1))
    .join(" ");
}

async function measure(contenders: readonly Contender[], { rows, ...setting }: Setting): Promise<void> {
  for (const { target } of contenders) await load(target(setting.delay), setting.concurrency, SECONDS / 4);
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [place, contender] of contenders.entries()) {
      const row = (rows[place] ??= { name: contender.name, turns: [], rssBytes: 0 });
      row.turns.push(await takeTurn(contender, setting));
      const pids = contender.pids(setting.delay);
      row.rssBytes = Math.max(row.rssBytes, ...pids.map((pid) => usageOf(pid).rssBytes));
    }
}

async function takeTurn(contender: Contender, { delay, concurrency }: Omit<Setting, "rows">): Promise<Turn> {
  const { pids, upstreamPids, target } = contender;
  const before = [cpuOf(pids(delay)), cpuOf(upstreamPids(delay))] as const;
  const measured = await load(target(delay), concurrency, SECONDS);
  const own = cpuOf(pids(delay)) - before[0];
  const upstream = cpuOf(upstreamPids(delay)) - before[1];
  return { measured, cpu: own / measured.calls, cpuWithUpstream: (own + upstream) / measured.calls };
}

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + usageOf(pid).cpuMicros, 0);
}

function printRows({ rows, concurrency, delay }: Setting): void {
  const [direct, raw] = rows;
  const mcpProxy = rows.find(({ name }) => name === MCP_PROXY);
  if (direct === undefined || raw === undefined || mcpProxy === undefined) return;
  for (const row of rows) {
    const median = (of: (turn: Turn, round: number) => number): number => medianOf(row.turns.map(of));
    const share = (base: Row): number =>
      median(({ measured }, round) => rateOf(measured) / rateOf(base.turns[round]?.measured ?? measured));
    const added = (part: number): number =>
      median(({ measured }, round) => {
        const base = direct.turns[round]?.measured ?? measured;
        return percentile(measured, part) - percentile(base, part);
      });
    const cells = [
      `${delay} ms`,
      concurrency,
      row.name,
      median(({ measured }) => rateOf(measured)).toFixed(0),
      share(raw).toFixed(2),
      share(direct).toFixed(2),
      row === direct ? "–" : median(({ cpu }) => cpu).toFixed(0),
      row === direct ? "–" : median(({ cpu }, round) => cpu / (raw.turns[round]?.cpu ?? cpu)).toFixed(2),
      row === direct ? "–" : median(({ cpu }, round) => (mcpProxy.turns[round]?.cpu ?? cpu) / cpu).toFixed(2),
      median(({ cpuWithUpstream }) => cpuWithUpstream).toFixed(0),
      added(0.5).toFixed(2),
      added(0.99).toFixed(2),
      row === direct ? "–" : (row.rssBytes / 2 ** 20).toFixed(0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function rateOf({ calls, seconds }: Measured): number {
  return calls / seconds;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

function plain(port: number, delay: number): Target {
  return { origin: `http://127.0.0.1:${port}`, path: `/${delay}/mcp`, headers: {} };
}

function governed({ port, agentKey }: { port: number; agentKey: string }, delay: number): Target {
  return {
    origin: `http://127.0.0.1:${port}`,
    path: `/gateway/d${delay}/mcp`,
    headers: { authorization: `Bearer ${agentKey}` },
  };
}

async function startRole(
  file: string,
  args: readonly string[],
): Promise<{ readonly port: number; readonly pid: number }> {
  const child = fork(new URL(`./gateway/${file}`, import.meta.url), args);
  children.push(child);
  const [hello]: { port: number }[] = await once(child, "message");
  return { port: hello?.port ?? 0, pid: child.pid ?? 0 };
}

/** The gateway in front of stdio servers, with a session for each delay, as `mcp-proxy` below. */
async function startStdioGateway(): Promise<Contender> {
  const place = makeStdioPlace();
  stops.push(() => Promise.resolve(place.remove()));
  const script = join(place.folder, "bench-server.ts");
  copyFileSync(new URL("./gateway/stdio-server.ts", import.meta.url), script);
  chmodSync(script, 0o644);
  const serverOf = (delay: 0 | 10) => ({
    command: place.node,
    args: [script, String(delay)],
    cwd: place.folder,
  });
  const product = await startProduct({ d0: serverOf(0), d10: serverOf(10) });
  stops.unshift(product.stop);
  const [quick, slow] = [await inSession(governed(product, 0)), await inSession(governed(product, 10))];
  return {
    name: "gateway, stdio server",
    target: (delay) => (delay === 0 ? quick : slow),
    pids: () => [product.pid],
    upstreamPids: () => childrenOf(product.pid),
  };
}

/** npm's mcp-proxy in front of stdio servers, one process for each delay, with the session that it wants. */
async function startMcpProxy(name: string, flags: readonly string[]): Promise<Contender> {
  const [quick, slow] = [await startOneMcpProxy(0, flags), await startOneMcpProxy(10, flags)];
  const of = (delay: 0 | 10) => (delay === 0 ? quick : slow);
  return {
    name,
    target: (delay) => of(delay).target,
    pids: (delay) => [of(delay).pid],
    upstreamPids: (delay) => childrenOf(of(delay).pid),
  };
}

async function startOneMcpProxy(delay: number, flags: readonly string[]): Promise<{ pid: number; target: Target }> {
  const port = 20_000 + (process.pid % 20_000) + delay + flags.length;
  const bin = new URL("../node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs", import.meta.url).pathname;
  const server = new URL("./gateway/stdio-server.ts", import.meta.url).pathname;
  const args = [bin, "--server", "stream", ...flags, "--host", "127.0.0.1", "--port", String(port), "--"];
  const child = spawn(process.execPath, [...args, process.execPath, server, String(delay)], { stdio: "ignore" });
  children.push(child);
  const target = await inSession({ origin: `http://127.0.0.1:${port}`, path: "/mcp", headers: {} });
  return { pid: child.pid ?? 0, target };
}

/** The target with a session that is open there. */
async function inSession(target: Target): Promise<Target> {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const common = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const headers = { ...common, ...target.headers };
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await request(target.origin + target.path, { method: "POST", headers, body }).catch(() => undefined);
    await answer?.body.text();
    const session = answer?.headers["mcp-session-id"];
    if (typeof session === "string")
      return {
        ...target,
        headers: { ...target.headers, "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" },
      };
    await sleep(100);
  }
  throw new Error(`${target.origin}${target.path} opened no session`);
}

try {
  await main();
} finally {
  await stopAll();
}
process.exit();
