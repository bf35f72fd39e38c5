import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../test/harness/app.ts";
import type { SweepFinding } from "./finding.ts";
import { EMPTY_REGISTRY, type RegisteredServer } from "./match.ts";
import { runScan } from "./run-scan.ts";

/* A server that is registered by its address is not reported again as a process, and nothing else passes for it. */

const MODULES = resolve(import.meta.dirname, "../../node_modules");
const EVERYTHING = join(MODULES, "@modelcontextprotocol/server-everything/dist/index.js");
const MEMORY = join(MODULES, "@modelcontextprotocol/server-memory/dist/index.js");
const BRIDGE = join(MODULES, "mcp-proxy/dist/bin/mcp-proxy.mjs");

let folder: string;
let script: string;
let parent: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sweep-registered-"));
  for (const name of ["evil-mcp", "parent-mcp"]) mkdirSync(join(folder, name));
  script = join(folder, "evil-mcp/server.mjs");
  const listen = 'import { createServer } from "node:net";\nconst [host, port, only] = process.argv.slice(2);\n';
  writeFileSync(
    script,
    `${listen}createServer((socket) => socket.destroy()).listen({ host, port: Number(port), ipv6Only: only === "6" }, () => console.log("ready"));\n`,
  );
  parent = join(folder, "parent-mcp/server.mjs");
  writeFileSync(
    parent,
    `import { spawn } from "node:child_process";\nspawn(process.execPath, [${JSON.stringify(script)}, "127.0.0.1", "0"]);\nawait import(${JSON.stringify(EVERYTHING)});\n`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    const exited = once(child, "exit");
    // With what it started itself.
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    await exited;
  }
});

/** Starts a program and waits for what it says when it is there. */
async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  const options = { env: { ...process.env, ...env }, stdio: "pipe", detached: true } as const;
  const child = spawn(process.execPath, args, options);
  children.push(child);
  await new Promise<void>((ready) => {
    const onText = (text: Buffer): void => {
      if (/ready|listening|starting server|Server running/i.test(text.toString())) ready();
    };
    child.stdout.on("data", onText);
    child.stderr.on("data", onText);
  });
  return child.pid ?? 0;
}

/** A bridge in front of a stdio server, once both are there: it says that it starts before it listens. */
async function startBridge(port: number): Promise<void> {
  await start([BRIDGE, "--host", "127.0.0.1", "--port", String(port), "--", process.execPath, MEMORY]);
  while (!(await isListening(port))) await sleep(50);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => done(true)).once("error", () => done(false));
    socket.once("connect", () => socket.destroy());
  });
}

const everything = (port: number): Promise<number> => start([EVERYTHING, "streamableHttp"], { PORT: String(port) });

async function scan(...urls: readonly string[]): Promise<readonly SweepFinding[]> {
  const servers = urls.map((url, index): RegisteredServer => {
    return { id: String(index), name: `registered-${String(index)}`, transport: "streamable-http", url };
  });
  const registry = { ...EMPTY_REGISTRY, servers };
  return (await runScan({ paths: [folder], includeProcesses: true, registry, hashKey: "k" })).findings;
}

/** Whether a test started it, itself or through what it started: the machine may run servers of others. */
function isOwn(pid: number | undefined): boolean {
  const path = `/proc/${String(pid)}/stat`;
  if (!existsSync(path)) return false;
  const [, , group] = readFileSync(path, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return children.some((child) => String(child.pid) === group);
}

/** What nobody registered, of the processes that a test started. */
async function shadows(...urls: readonly string[]): Promise<readonly string[]> {
  const found = (await scan(...urls)).filter(
    ({ kind, instances }) => kind === "shadow_server" && instances.some(({ pid }) => isOwn(pid)),
  );
  const known = ["server-everything", "server-memory", "mcp-proxy", "evil-mcp", "parent-mcp"];
  return known.filter((name) => found.some(({ identity }) => identity.includes(name)));
}

describe.runIf(process.platform === "linux")("a process that listens where a server is registered", () => {
  test("is that server, by each of the names of this machine, and a finding of its own only when nobody registered it", async () => {
    const port = await freePort();
    await everything(port);
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const [address = "127.0.0.1"] = own.filter(({ family }) => family === "IPv4").map((one) => one.address);
    for (const host of ["127.0.0.1", "localhost", "mcp.localhost", "2130706433", address, hostname(), "LOCALHOST."]) {
      expect(await shadows(`http://${host}:${String(port)}/mcp`), host).toEqual([]);
    }
    expect(await shadows(`http://127.0.0.1:${String(port)}/sse`), "another transport").toEqual([]);
    expect(await shadows(), "unregistered").toEqual(["server-everything"]);
    expect(await shadows(`http://127.0.0.1:${String(port + 1)}/mcp`), "another port").toEqual(["server-everything"]);
    expect(await shadows(`http://192.0.2.1:${String(port)}/mcp`), "another machine").toEqual(["server-everything"]);
    expect(await shadows(`http://mcp.example:${String(port)}/mcp`), "another name").toEqual(["server-everything"]);
  }, 60_000);

  test("has what is wrong with it found under the registered server", async () => {
    const port = await freePort();
    await everything(port);
    const findings = await scan(`http://127.0.0.1:${String(port)}/mcp`);
    const exposed = findings.filter(({ code, identity }) => code === "BIND-ALL" && identity.includes(String(port)));
    expect(exposed).toMatchObject([{ identity: `url:127.0.0.1:${String(port)}` }]);
  });

  test("hides no process that only speaks of the port", async () => {
    const port = await freePort();
    await everything(port);
    const url = `http://127.0.0.1:${String(port)}/mcp`;
    await start([script, "127.0.0.1", "0", "--port", String(port), url], { PORT: String(port), MCP_URL: url });
    expect(await shadows(url)).toEqual(["evil-mcp"]);
  });

  test.each([
    ["another loopback address", ["127.0.0.2"], "http://localhost"],
    ["the loopback of IPv6", ["::1"], "http://localhost"],
    ["all addresses of IPv6", ["::", "6"], "http://localhost"],
    ["the loopback of IPv6, by its address", ["::1"], "http://127.0.0.1"],
  ])("hides no process on the same port of %s", async (_what, [host = "", only = ""], base) => {
    const port = await freePort();
    await startBridge(port);
    await start([script, host, String(port), only]);
    expect(await shadows(`${base}:${String(port)}/mcp`)).toEqual(["evil-mcp"]);
  });

  test("hides no other server that it starts", async () => {
    const port = await freePort();
    await start([parent, "streamableHttp"], { PORT: String(port) });
    expect(await shadows(`http://127.0.0.1:${String(port)}/mcp`)).toEqual(["evil-mcp"]);
    expect(await shadows()).toEqual(["evil-mcp", "parent-mcp"]);
  });

  test("is a bridge together with what it leads to", async () => {
    const port = await freePort();
    await startBridge(port);
    expect(await shadows(`http://localhost:${String(port)}/mcp`)).toEqual([]);
    expect(await shadows()).toEqual(["server-memory", "mcp-proxy"]);
  });
});
