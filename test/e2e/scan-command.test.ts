import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { at, textAt } from "../harness/app.ts";
import { type CliRun, runlayer } from "../harness/cli.ts";
import { runProgram } from "../harness/program.ts";
import { restAll, startServe, type ServeProcess } from "../harness/serve-process.ts";

/* `runlayer scan` with a server: the program on both ends. */

const OWNER_KEY = `rl_org_${"scan0".repeat(10)}`;
const SECRET = ["gh", "p_Zk3Qx9LmPq7Rt2Vw8Yb4Nc6Hd1Jf5Gs0"].join("");
const REGISTERED = "https://mcp.acme.example/mcp";

let serving: ServeProcess;
let dataDir: string;
let home: string;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-scan-data-"));
  serving = await startServe({ dataDir, ownerKey: OWNER_KEY });
  const server = { name: "acme", transport: "streamable-http", url: REGISTERED };
  const { status, body } = await serving.rest("POST /servers", server);
  expect(status, JSON.stringify(body)).toBe(200);
});

afterAll(async () => {
  await serving.kill();
  rmSync(dataDir, { recursive: true, force: true });
});

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "runlayer-scan-home-"));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function configure(servers: object): void {
  mkdirSync(join(home, ".cursor"), { recursive: true });
  writeFileSync(join(home, ".cursor/mcp.json"), JSON.stringify({ mcpServers: servers }, null, 2));
}

const target = () => ({ RUNLAYER_URL: serving.url, RUNLAYER_API_KEY: OWNER_KEY });

/** In this process: what a command of its own would add is a second of starting. */
function scan(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<CliRun> {
  return runlayer(["scan", ...args], { ...target(), ...environment });
}

function findingsOf(text: string): readonly unknown[] {
  const found = at(JSON.parse(text), "findings");
  if (!Array.isArray(found)) throw new Error(text);
  return found;
}

const codesOf = (text: string): string[] => findingsOf(text).map((finding) => textAt(finding, "code"));

describe("runlayer scan with a server", () => {
  test("matches against the registry, and what it found is in get_scan_results, without the secret", async () => {
    configure({
      acme: { url: REGISTERED, headers: { Authorization: `Bearer ${SECRET}` } },
      gateway: { url: `${serving.url}/gateway/acme/mcp` },
      other: { command: "npx", args: ["-y", "@acme/other@1.0.0"], env: { GITHUB_TOKEN: SECRET } },
    });
    const run = await runProgram(["scan", home, "--device", "build-box", "--json"], target());
    expect(run, run.err).toMatchObject({ code: 1, err: "" });
    expect(codesOf(run.out).toSorted()).toEqual(["BYPASS", "SECRET-INLINE", "SECRET-INLINE", "SHADOW-SERVER"]);
    const shadow = findingsOf(run.out).find((finding) => at(finding, "code") === "SHADOW-SERVER");
    expect(at(shadow, "identity")).toBe("pkg:npm/@acme/other");

    const scanId = textAt(JSON.parse(run.out), "scan", "id");
    const stored = await restAll(serving, "GET /scan-results", { scan: scanId });
    const bypass = stored.find((finding) => at(finding, "code") === "BYPASS");
    expect(bypass).toMatchObject({
      kind: "policy_violation",
      device: "build-box",
      location: { path: join(home, ".cursor/mcp.json"), line: 3 },
    });
    expect(run.out + JSON.stringify(stored)).not.toContain(SECRET);
    for (const name of readdirSync(dataDir)) {
      const path = join(dataDir, name);
      if (statSync(path).isFile()) expect(readFileSync(path).includes(SECRET), name).toBe(false);
    }
  });

  test("says nothing new of what did not change, and ends what is gone", async () => {
    configure({ other: { command: "npx", args: ["-y", "@acme/gone@1.0.0"] } });
    const args = [home, "--device", "laptop", "--json"];
    expect(at(JSON.parse((await scan(args)).out), "summary")).toMatchObject({ new: 1, resolved: 0 });
    expect(at(JSON.parse((await scan(args)).out), "summary")).toMatchObject({ new: 0, resolved: 0 });
    configure({});
    const last = await scan(args);
    expect(at(JSON.parse(last.out), "summary")).toMatchObject({ new: 0, resolved: 1 });
    expect(last.exitCode).toBe(0);
  });

  test("says that no registry was asked where none was", async () => {
    configure({ gateway: { url: `${serving.url}/gateway/acme/mcp` } });
    const alone = await scan([home], { RUNLAYER_URL: "" });
    expect(alone.err).toContain("set RUNLAYER_URL");
    expect(alone.out).toContain("SHADOW-SERVER");
    expect(await scan([home, "--json"], { RUNLAYER_URL: "" })).toMatchObject({ exitCode: 1, err: "" });
    expect(await scan([home, "--device", "compared", "--json"])).toMatchObject({ exitCode: 0, err: "" });
  });

  test("counts a file once that lies in two of the folders named", async () => {
    const project = join(home, "work/app");
    mkdirSync(project, { recursive: true });
    writeFileSync(
      join(project, ".mcp.json"),
      JSON.stringify({ mcpServers: { other: { command: "npx", args: ["@acme/once@1.0.0"] } } }),
    );
    const { out } = await scan([project, home, "--device", "twice", "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      summary: { configs: 1, servers: 1 },
      findings: [{ code: "SHADOW-SERVER" }],
    });
    expect(at(findingsOf(out)[0], "instances")).toEqual([
      { device: "twice", user: basename(home), client: "claude-code", path: join(project, ".mcp.json"), line: 1 },
    ]);
  });

  test("obeys --fail-on, passes over what was suppressed, and writes SARIF", async () => {
    configure({ other: { command: "npx", args: ["-y", "@acme/kept@1.0.0"] } });
    const args = [home, "--device", "ci"];
    expect((await scan([...args, "--fail-on", "high"])).exitCode).toBe(0);
    const table = await scan(args);
    expect(table.exitCode).toBe(1);
    expect(table.out).toContain("SHADOW-SERVER");
    expect(table.err).toBe("");
    const sarif = JSON.parse((await scan([...args, "--sarif"])).out);
    expect(sarif).toMatchObject({ version: "2.1.0", runs: [{ results: [{ ruleId: "SHADOW-SERVER" }] }] });
    const [found] = await restAll(serving, "GET /scan-results", { device: "ci" });
    const id = textAt(found, "id");
    await serving.rest(`PATCH /findings/${id}`, { status: "suppressed", reason: "known" });
    expect((await scan(args)).exitCode).toBe(0);
  });

  test.each([
    ["a severity that there is not", ["--fail-on", "worst"], {}, 2],
    ["two forms at once", ["--json", "--sarif"], {}, 2],
    ["networks, which the server probes itself", ["--network", "127.0.0.1"], {}, 2],
    ["a folder that is not there", ["/nowhere/at/all"], {}, 2],
    ["a key that nobody issued", [], { RUNLAYER_API_KEY: `rl_org_${"x".repeat(45)}` }, 3],
    ["no key", [], { RUNLAYER_API_KEY: "" }, 3],
    ["a server that is not there", [], { RUNLAYER_URL: "http://127.0.0.1:1" }, 4],
  ])("refuses %s", async (...[, args, environment, code]) => {
    const run = await scan(args.some((arg) => arg.startsWith("/")) ? args : [home, ...args], environment);
    expect(run.exitCode, run.err).toBe(code);
    expect(run.err).toMatch(/^runlayer: \S/);
    expect(run.err).not.toContain(" at ");
  });

  test("needs a role that may scan", async () => {
    const made = await serving.rest("POST /api-keys", { name: "looker", role: "auditor" });
    const run = await scan([home], { RUNLAYER_API_KEY: textAt(made.body, "secret") });
    expect(run.exitCode).toBe(3);
    const scanner = await serving.rest("POST /api-keys", { name: "collector", role: "scanner" });
    const allowed = await scan([home, "--device", "from-scanner"], {
      RUNLAYER_API_KEY: textAt(scanner.body, "secret"),
    });
    expect(allowed.exitCode, allowed.err).toBe(0);
  });
});

test("nobody waits for a machine that only `runlayer scan` reports for, until it checks in", async () => {
  configure({ other: { command: "npx", args: ["-y", "@acme/other@1.0.0"] } });
  await scan([home, "--device", "one-off"]);
  await scan([home, "--device", "one-off"]);
  const scanDevice = async (timeoutSeconds: number) => {
    const { body } = await serving.rest("POST /scans", { targets: ["devices"], devices: ["one-off"], timeoutSeconds });
    const results = await serving.rest("GET /scan-results", { scan: textAt(body, "scan", "id") });
    return { status: at(body, "scan", "status"), coverage: at(results.body, "coverage") };
  };
  const started = performance.now();
  const { status, coverage } = await scanDevice(20);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(status).toBe("complete");
  expect(coverage).toMatchObject([
    { place: "one-off", status: "read", reason: expect.stringMatching(/^does not report by itself.*report of 20/) },
  ]);
  await serving.rest("POST /device-reports", { device: "one-off" });
  expect(await scanDevice(1)).toMatchObject({ status: "partial", coverage: [{ status: "partial" }] });
});

test("asks only the devices of a scan for a report", async () => {
  const device = await serving.rest("POST /devices", { name: "bystander" });
  expect(device.status).toBe(200);
  await serving.rest("POST /device-reports", { device: "bystander" });
  await scan([home, "--device", "asked"]);
  const { body } = await serving.rest("POST /device-reports", { device: "bystander" });
  expect(body).toMatchObject({ reportRequested: false });
});
