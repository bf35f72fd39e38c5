import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { type Finished, runProgram } from "../harness/program.ts";
import { type ReportLink, startReportLink } from "../harness/report-link.ts";

/* `runlayer device …` as the program itself, and a network between it and the control plane that fails. */

const PROGRAM = resolve(import.meta.dirname, "../../bin/runlayer.js");

let app: TestApp;
let link: ReportLink;
let folder: string;
let children: ChildProcess[];

beforeEach(async () => {
  app = await startTestApp();
  link = await startReportLink(app.url);
  folder = mkdtempSync(join(tmpdir(), "runlayer-reporter-"));
  children = [];
  mkdirSync(join(folder, "home/.cursor"), { recursive: true });
  configure("one");
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await link.close();
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

test("enrolls, reports, keeps the newest report while the control plane is away, and catches up", async () => {
  expect(await enroll()).toMatchObject({ code: 0 });
  expect(statSync(join(folder, "state/device.json")).mode & 0o077).toBe(0);
  expect(await reportOnce()).toMatchObject({ code: 0 });
  link.state = "is down";
  for (const name of ["two", "three"]) {
    configure(name);
    const away = await reportOnce();
    expect(away.code).not.toBe(0);
    expect(away.err).toContain("does not answer");
  }
  expect(serversIn(readFileSync(pending(), "utf8"))).toEqual(["three"]);
  link.state = "passes";
  configure("four");
  expect(await reportOnce()).toMatchObject({ code: 0 });
  expect(existsSync(pending())).toBe(false);
  expect(await storedServers()).toEqual(["four"]);
  expect(await reportEvents()).toBe(2);
});

test("killed in the middle of an upload it loses nothing, and the next start reports once", async () => {
  await enroll();
  link.state = "hangs midway";
  const upload = link.nextUpload();
  const first = reportForever();
  await upload;
  first.kill("SIGKILL");
  await once(first, "exit");
  expect(serversIn(readFileSync(pending(), "utf8"))).toEqual(["one"]);
  expect([link.delivered.length, await reportEvents()]).toEqual([0, 0]);
  link.state = "passes";
  const second = reportForever();
  await expect.poll(() => existsSync(pending()), { timeout: 15_000 }).toBe(false);
  expect(await storedServers()).toEqual(["one"]);
  expect(await reportEvents()).toBe(1);
  second.kill("SIGTERM");
  expect(await once(second, "exit")).toEqual([0, null]);
});

test("a report whose answer was lost is sent again and taken once", async () => {
  await enroll();
  link.state = "loses the answer";
  const reporter = reportForever();
  await expect.poll(() => link.delivered.length, { timeout: 15_000 }).toBe(1);
  link.state = "passes";
  await expect.poll(() => link.delivered.length, { timeout: 15_000 }).toBe(2);
  await expect.poll(() => existsSync(pending()), { timeout: 5_000 }).toBe(false);
  const [sent, again] = link.delivered;
  expect(again).toBe(sent);
  expect(await reportEvents()).toBe(1);
  reporter.kill("SIGTERM");
  await once(reporter, "exit");
});

test("a device whose key is revoked stops", async () => {
  await enroll();
  const { body } = await app.rest("GET /devices");
  const reporter = reportForever();
  await expect.poll(() => link.delivered.length, { timeout: 15_000 }).toBe(1);
  await app.rest(`POST /api-keys/${textAt(body, "items", 0, "key", "id")}/revoke`, { confirm: true });
  const [code] = await once(reporter, "exit");
  expect(code).not.toBe(0);
});

test("prints a systemd unit that starts this program with what was asked for", async () => {
  const { out, code } = await runProgram(["device", "service", "--for", "systemd", "--every", "1h", "--all-users"], {});
  expect(code).toBe(0);
  const [, command] = /^ExecStart=(.*)$/m.exec(out) ?? [];
  expect(command).toBe(`${process.execPath} ${PROGRAM} device report --every 60m --all-users`);
});

function configure(server: string): void {
  const entry = { command: "npx", args: ["-y", `@acme/${server}@1.0.0`] };
  writeFileSync(join(folder, "home/.cursor/mcp.json"), JSON.stringify({ mcpServers: { [server]: entry } }));
}

function enroll(): Promise<Finished> {
  return device("enroll", "--url", link.url, "--key", app.ownerKey, "--name", "laptop");
}

function reportOnce(): Promise<Finished> {
  return device("report", "--home", join(folder, "home"));
}

function device(...args: readonly string[]): Promise<Finished> {
  return runProgram(["device", ...args, "--folder", join(folder, "state")], {});
}

function reportForever(): ChildProcess {
  const args = ["device", "report", "--every", "1h", "--home", join(folder, "home"), "--folder", join(folder, "state")];
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: "ignore" });
  children.push(child);
  return child;
}

function pending(): string {
  return join(folder, "state/pending-report");
}

function serversIn(compressed: string): string[] {
  const report: unknown = JSON.parse(gunzipSync(Buffer.from(compressed, "base64")).toString("utf8"));
  const servers = at(report, "sections", 0, "servers");
  return Array.isArray(servers) ? servers.map((server) => textAt(server, "name")) : [];
}

/** What the last report to arrive held; that it is the one which counts, the scan shows. */
async function storedServers(): Promise<string[]> {
  await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 1 });
  const { body } = await app.rest("GET /scan-results");
  const items = at(body, "items");
  return (Array.isArray(items) ? items : [])
    .filter((item) => at(item, "code") === "SHADOW-SERVER")
    .map((item) => textAt(item, "identity").replace("pkg:npm/@acme/", ""));
}

async function reportEvents(): Promise<unknown> {
  return at((await app.rest("GET /audit-events", { action: "device.report" })).body, "total");
}
