import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Child, startChild } from "../../demo/children.ts";
import { at, freePort, textAt } from "../harness/app.ts";
import { runProgram } from "../harness/program.ts";
import { restAll, startServe, type ServeProcess } from "../harness/serve-process.ts";

/* A real server process beside the program: unregistered, restarted, registered by its address; seen by the program itself and by a device. */

const OWNER_KEY = `rl_org_${"procs".repeat(10)}`;
const ENTRY = resolve(import.meta.dirname, "../../node_modules/@modelcontextprotocol/server-everything/dist/index.js");

let folder: string;
let home: string;
let script: string;
let serving: ServeProcess;
let child: Child | undefined;

beforeAll(async () => {
  folder = mkdtempSync("/tmp/runlayer-process-");
  home = join(folder, "home");
  mkdirSync(home);
  // A server of its own, run from where anyone may write: others on this machine may run the same package.
  script = join(folder, "acme-mcp/server.mjs");
  mkdirSync(join(folder, "acme-mcp"));
  writeFileSync(script, `import ${JSON.stringify(ENTRY)};\n`);
  const dataDir = join(folder, "data");
  serving = await startServe({ dataDir, ownerKey: OWNER_KEY, environment: { HOME: home } });
});

afterEach(() => child?.stop());

afterAll(async () => {
  await serving.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function startEverything(port: number): Promise<number> {
  await child?.stop();
  const env = { PORT: String(port) };
  child = await startChild({ args: [script, "streamableHttp"], env, readyLine: "listening on port" });
  return child.pid;
}

async function rest(route: string, input?: object): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await serving.rest(route, input);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

/** Findings about the process of this test; the machine may run servers of others. */
async function findingsAt(port: number, status = "open"): Promise<readonly unknown[]> {
  const found = await restAll(serving, "GET /scan-results", { status });
  return found.filter((finding) => {
    const instances = at(finding, "instances");
    return Array.isArray(instances) && instances.some((instance) => at(instance, "port") === port);
  });
}

const codesOf = (found: readonly unknown[]): string[] => found.map((finding) => textAt(finding, "code")).toSorted();
const shadowsOf = (found: readonly unknown[]) => found.filter((finding) => at(finding, "kind") === "shadow_server");

test.runIf(process.platform === "linux")(
  "a process is one finding with its pid and port, the same after a restart, and none once its address is registered",
  async () => {
    const port = await freePort();
    const host = (): Promise<unknown> => rest("POST /scans", { targets: ["host"] });
    const firstPid = await startEverything(port);
    await host();
    const [shadow, ...others] = shadowsOf(await findingsAt(port));
    expect(others).toEqual([]);
    expect(shadow).toMatchObject({ instances: [{ pid: firstPid, port, isRunning: true }] });

    const pid = await startEverything(port);
    await host();
    const [same, ...more] = shadowsOf(await findingsAt(port));
    expect(more).toEqual([]);
    const kept = { id: at(shadow, "id"), version: at(shadow, "version"), firstSeenAt: at(shadow, "firstSeenAt") };
    expect(same).toMatchObject({ ...kept, instances: [{ pid, port }] });
    expect(at(same, "lastSeenAt")).not.toBe(at(shadow, "lastSeenAt"));
    expect(await findingsAt(port, "resolved")).toEqual([]);

    const url = `http://localhost:${String(port)}/mcp`;
    const registered = { name: "tools", transport: "streamable-http", url, allowPrivateNetwork: true };
    const id = textAt(await rest("POST /servers", registered), "server", "id");
    await host();
    expect(codesOf(await findingsAt(port))).toEqual(["BIND-ALL", "CMD-RISK", "NOAUTH-EXPOSED"]);
    expect(shadowsOf(await findingsAt(port, "resolved"))).toMatchObject([{ id: at(shadow, "id"), status: "resolved" }]);

    const environment = { RUNLAYER_URL: serving.url, RUNLAYER_API_KEY: OWNER_KEY, HOME: home };
    const asDevice = await runProgram(["scan", "--device", "here", "--json", "--fail-on", "critical"], environment);
    expect(asDevice, asDevice.err).toMatchObject({ code: 0 });
    expect(codesOf(await findingsAt(port))).toEqual(["BIND-ALL", "CMD-RISK", "NOAUTH-EXPOSED"]);
    for (const finding of await findingsAt(port)) {
      expect(finding).toMatchObject({
        server: id,
        devices: 2,
        instances: [
          { device: "here", pid, port },
          { device: hostname(), pid, port },
        ],
      });
    }

    await rest("DELETE /servers/tools", { confirm: true });
    await host();
    expect(shadowsOf(await findingsAt(port))).toMatchObject([{ id: at(shadow, "id"), status: "open" }]);
  },
  60_000,
);
