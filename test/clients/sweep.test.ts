import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateApiKey } from "../../src/auth/api-key-format.ts";
import { at, freePort } from "../harness/app.ts";
import { runProgram } from "../harness/program.ts";
import { type ServeProcess, startServe } from "../harness/serve-process.ts";
import { type ClientHome, makeClientHome, openclawHome } from "./client-home.ts";

/* The sweep against what real clients write, a real agent's install and real running servers, as `.ci/clients.sh` installs them. */

let place: ClientHome;
beforeAll(async () => {
  place = makeClientHome();
  mkdirSync(join(place.home, ".codex"));
  for (const [program, ...args] of ADDED_BY_CLIENTS) {
    expect(await place.run(program, ["mcp", "add", ...args]), args.join(" ")).toMatchObject({ code: 0 });
  }
});
afterAll(() => place.remove());

const ADDED_BY_CLIENTS: readonly (readonly [program: string, ...args: string[]])[] = [
  ["claude", "files", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/srv"],
  ["claude", "--scope", "user", "--transport", "http", "tracker", "https://tracker.example/mcp"],
  ["claude", "--scope", "project", "--transport", "sse", "feed", "https://feed.example/sse"],
  ["codex", "memory", "--env", "LOG=1", "--", "npx", "-y", "@modelcontextprotocol/server-memory@2026.8.31"],
  ["codex", "docs", "--url", "https://docs.example/mcp"],
  ["gemini", "--scope", "user", "clock", "uvx", "mcp-server-time==2026.8.31"],
  ["gemini", "--scope", "project", "--transport", "http", "wiki", "https://wiki.example/mcp"],
];

/** Client, file and identity of each server above, and nothing else. That there is the project, Claude's own file tells. */
const expectedServers = (): string[] =>
  [
    ["claude-code", place.home, ".claude.json", "pkg:npm/@modelcontextprotocol/server-filesystem"],
    ["claude-code", place.home, ".claude.json", "url:tracker.example"],
    ["claude-code", place.project, ".mcp.json", "url:feed.example"],
    ["codex", place.home, ".codex/config.toml", "pkg:npm/@modelcontextprotocol/server-memory"],
    ["codex", place.home, ".codex/config.toml", "url:docs.example"],
    ["gemini-cli", place.home, ".gemini/settings.json", "pkg:pypi/mcp-server-time"],
    ["gemini-cli", place.project, ".gemini/settings.json", "url:wiki.example"],
  ]
    .map(([client = "", folder = "", file = "", identity = ""]) => `${client} ${join(folder, file)} ${identity}`)
    .toSorted();

function shadowServers(items: readonly unknown[]): string[] {
  return ofCode(items, "SHADOW-SERVER")
    .flatMap((item) =>
      listAt(item, "instances").map(
        (instance) => `${text(instance, "client")} ${text(instance, "path")} ${text(item, "identity")}`,
      ),
    )
    .toSorted();
}

test("what claude, codex and gemini wrote is found exactly, on the command line", async () => {
  const { findings, summary } = await scan([place.home]);
  expect(shadowServers(findings)).toEqual(expectedServers());
  expect(summary).toMatchObject({ servers: ADDED_BY_CLIENTS.length });
});

test("a real openclaw is recognized as an installed agent", async () => {
  const { findings, summary } = await scan([openclawHome()]);
  expect(ofCode(findings, "SHADOW-AGENT").map((item) => text(item, "identity"))).toEqual(["agent:openclaw"]);
  expect(summary).toMatchObject({ agents: 1, servers: 0 });
});

describe("with running servers", () => {
  const children: ChildProcess[] = [];
  const ports = new Map<string, number>();
  let server: ServeProcess;

  beforeAll(async () => {
    for (const transport of ["streamableHttp", "sse", "stdio"]) {
      const port = await freePort();
      ports.set(transport, port);
      children.push(await startEverything(transport, port));
    }
    const [dataDir, serverHome] = [join(place.home, "../data"), join(place.home, "../server-home")];
    mkdirSync(serverHome);
    server = await startServe({ dataDir, ownerKey: generateApiKey("organization"), environment: { HOME: serverHome } });
  });
  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    await server.kill();
  });

  const httpPort = (): number => ports.get("streamableHttp") ?? 0;
  const ssePort = (): number => ports.get("sse") ?? 0;
  const EVERYTHING = "pkg:npm/@modelcontextprotocol/server-everything";

  test("all three are found by process, and the open one by what its port answers", async () => {
    const { findings } = await scan([]);
    const ofEverything = findings.filter((item) => text(item, "identity") === EVERYTHING);
    const [running] = ofCode(ofEverything, "SHADOW-SERVER");
    // Others may run it on this machine too.
    expect(listAt(running, "instances").length).toBeGreaterThanOrEqual(children.length);
    expect(ofCode(ofEverything, "NOAUTH-EXPOSED").map((item) => text(item, "evidence"))).toEqual([
      expect.stringContaining("tools without credentials"),
    ]);
  });

  test("both that listen are found by port", async () => {
    const { findings } = await scan(["--network", "127.0.0.1", "--port", `${httpPort()}`, `${ssePort()}`]);
    const found = ofCode(findings, "SHADOW-SERVER").map((item) => text(item, "identity"));
    expect(found).toEqual(expect.arrayContaining([`url:127.0.0.1:${httpPort()}`, `url:127.0.0.1:${ssePort()}`]));
  });

  test(
    "run_mcp_sweep_scan finds the same: configurations exactly, processes and ports",
    { timeout: 60_000 },
    async () => {
      const targets = { targets: ["host", "network"], networks: ["127.0.0.1"], ports: [httpPort(), ssePort()] };
      const run = await server.rest("POST /scans", { ...targets, paths: [place.home] });
      expect(run.body).toMatchObject({ scan: { status: "complete" } });
      const { body } = await server.rest("GET /scan-results", { limit: 200 });
      const items = listAt(body, "items");
      const configured = shadowServers(items).filter((line) => !line.startsWith(" "));
      expect(configured).toEqual(expectedServers());
      const found = ofCode(items, "SHADOW-SERVER").map((item) => text(item, "identity"));
      const expected = [EVERYTHING, `url:127.0.0.1:${httpPort()}`, `url:127.0.0.1:${ssePort()}`];
      expect(found).toEqual(expect.arrayContaining(expected));
      const again = await server.rest("POST /scans", { ...targets, paths: [place.home] });
      expect(at(again.body, "summary")).toMatchObject({ new: 0, resolved: 0 });
    },
  );
});

interface ScanAnswer {
  readonly findings: readonly unknown[];
  readonly summary: unknown;
}

/** `runlayer scan … --json`, in the scratch home. */
async function scan(args: readonly string[]): Promise<ScanAnswer> {
  const { out, err, code } = await runProgram(["scan", ...args, "--json"], place.env);
  // 1: it found something.
  expect([code, err]).toEqual([1, ""]);
  const answer: unknown = JSON.parse(out);
  return { findings: listAt(answer, "findings"), summary: at(answer, "summary") };
}

async function startEverything(transport: string, port: number): Promise<ChildProcess> {
  const program = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js");
  const child = spawn(process.execPath, [program, transport], {
    env: { ...place.env, PORT: String(port) },
    stdio: ["pipe", "ignore", "pipe"],
  });
  // Each says on standard error when it is ready.
  await once(child.stderr, "data");
  if (transport === "stdio") return child;
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const isListening = await fetch(`http://127.0.0.1:${port}/`).then(
      async (response) => (await response.body?.cancel(), true),
      () => false,
    );
    if (isListening) return child;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`server-everything did not listen as ${transport}`);
}

function ofCode(items: readonly unknown[], code: string): unknown[] {
  return items.filter((item) => at(item, "code") === code);
}

function listAt(value: unknown, member: string): readonly unknown[] {
  const list = at(value, member);
  return Array.isArray(list) ? list : [];
}

function text(value: unknown, member: string): string {
  const found = at(value, member);
  return typeof found === "string" ? found : "";
}
