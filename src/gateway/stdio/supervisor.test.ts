import { spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../../../test/fixtures/mcp/stdio-place.ts";
import { connect } from "../probe/handshake.ts";
import { Contact } from "../probe/contact.ts";
import { ChildTransport } from "./child-transport.ts";
import { resolveIsolation } from "./isolation.ts";
import type { StdioChild, StdioSpec } from "./start-child.ts";
import { findStdioUser } from "./stdio-user.ts";
import { type ChildLogLine, createStdioSupervisor, type StdioSupervisor } from "./supervisor.ts";

const LADDER = { stdinCloseMs: 300, sigtermMs: 500 };
const isRoot = process.geteuid?.() === 0;
let place: StdioPlace;
let lines: ChildLogLine[] = [];
const opened: StdioSupervisor[] = [];

beforeAll(() => {
  place = makeStdioPlace();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((supervisor) => supervisor.close()));
  lines = [];
});
afterAll(() => place.remove());

function open(more: { childrenMax?: number; ladder?: typeof LADDER } = {}): StdioSupervisor {
  const supervisor = createStdioSupervisor({
    user: place.user,
    hiddenPaths: [],
    maskText: (text) => text.replace(/hunter2/g, "[masked]"),
    log: (line) => lines.push(line),
    ladder: LADDER,
    ...more,
  });
  opened.push(supervisor);
  return supervisor;
}

function spec(behaviour = "good", more: Partial<StdioSpec> = {}): StdioSpec {
  return { command: place.node, args: [place.script, behaviour], env: {}, label: "sample", ...more };
}

async function callTool(child: StdioChild, name: string, args: Record<string, unknown> = {}): Promise<unknown> {
  const { client } = await connect(
    new ChildTransport(child),
    { mode: "legacy" },
    {
      clientInfo: { name: "t", version: "0" },
      contact: new Contact(1e6),
      signal: AbortSignal.timeout(5000),
      timeoutMs: 5000,
    },
  );
  const answer = await client.callTool({ name, arguments: args });
  const [first] = answer.content;
  return first?.type === "text" ? JSON.parse(first.text) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    // A zombie whose parent has not collected it yet has ended.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function allGone(pids: readonly number[], withinMs: number): Promise<readonly number[]> {
  const until = performance.now() + withinMs;
  while (performance.now() < until && pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 50));
  return pids.filter(isAlive);
}

async function pidsOf(count: number, read: () => readonly string[]): Promise<number[]> {
  const until = performance.now() + 10_000;
  const found = () =>
    read()
      .filter((line) => line.startsWith("pids "))
      .flatMap((line) => line.slice(5).split(" ").map(Number));
  while (found().length < count && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  return found();
}

test("a child has only the declared environment, its own account and no inherited descriptors", async () => {
  process.env["RUNLAYER_TEST_SECRET"] = "leak";
  const child = await open().start(spec("good", { env: { DECLARED: "yes" } }));
  const seen = await callTool(child, "env");
  delete process.env["RUNLAYER_TEST_SECRET"];
  expect(seen).toMatchObject({ env: { DECLARED: "yes", LANG: "C.UTF-8" } });
  const names = typeof seen === "object" && seen !== null && "env" in seen ? Object.keys(seen.env ?? {}) : [];
  const shellNames = new Set(["PWD", "OLDPWD", "SHLVL", "_"]);
  expect(names.filter((name) => !shellNames.has(name)).toSorted()).toEqual([
    "DECLARED",
    "HOME",
    "LANG",
    "PATH",
    "RUNLAYER_CHILD",
  ]);
  if (isRoot) expect(seen).toMatchObject({ uid: findStdioUser("nobody").uid, cwd: "/" });
  await child.stop();
});

/** Where the descriptors of a process lead. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
}

test("a child is in a process group of its own", async () => {
  const child = await open().start(spec());
  expect(readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ")[4]).toBe(String(child.pid));
});

test.runIf(isRoot)(
  "a child cannot read a file of the gateway with mode 0600, nor below a folder with mode 0700",
  async () => {
    const secret = join(place.folder, "master.key");
    const data = join(place.folder, "data");
    writeFileSync(secret, "the key", { mode: 0o600 });
    mkdirSync(data, { mode: 0o700 });
    writeFileSync(join(data, "runlayer.db"), "rows");
    chmodSync(join(data, "runlayer.db"), 0o644);
    const supervisor = open();
    expect(await callTool(await supervisor.start(spec()), "read", { path: secret })).toEqual({ code: "EACCES" });
    const database = { path: join(data, "runlayer.db") };
    expect(await callTool(await supervisor.start(spec()), "read", database)).toEqual({ code: "EACCES" });
  },
);

test("a polite child ends when its input closes", async () => {
  const stdinCloseMs = 5_000;
  const child = await open({ ladder: { ...LADDER, stdinCloseMs } }).start(spec());
  const startedAt = performance.now();
  expect(await child.stop()).toEqual({ code: 0, signal: null });
  expect(performance.now() - startedAt).toBeLessThan(stdinCloseMs);
});

test("a child that ignores both its input's end and SIGTERM is killed with all its family", async () => {
  const supervisor = open();
  const child = await supervisor.start(spec("stubborn"));
  const family = await pidsOf(3, () => lines.map((line) => line.text));
  expect(family).toHaveLength(3);
  expect(await child.stop()).toEqual({ code: null, signal: "SIGKILL" });
  expect(supervisor.count()).toBe(0);
  expect(await allGone(family, 1000)).toEqual([]);
});

test("what a child leaves behind when it ends by itself ends too, in another session as well", async () => {
  const child = await open().start(spec("family"));
  const family = await pidsOf(3, () => lines.map((line) => line.text));
  process.kill(child.pid, "SIGKILL");
  await child.exited;
  expect(await allGone(family, 5000)).toEqual([]);
});

test("no child inherits a descriptor of the gateway, and none survives when the gateway is killed with SIGKILL", async () => {
  const held = openSync(place.script, "r");
  const script = join(import.meta.dirname, "../../../test/fixtures/mcp/stdio-parent.ts");
  const parent = spawn(process.execPath, [script, place.node, place.script, place.user ?? ""], {
    // The gateway itself may have been started with open descriptors that are not close-on-exec: here at 40.
    stdio: ["ignore", "pipe", "ignore", ...Array.from({ length: 37 }, () => "ignore" as const), held],
  });
  closeSync(held);
  const said: string[] = [];
  createInterface({ input: parent.stdout ?? Readable.from([]) }).on("line", (line) => said.push(line));
  const family = await pidsOf(9, () => said);
  onTestFinished(() => void parent.kill("SIGKILL"));
  expect(family).toHaveLength(9);
  expect(family.filter(isAlive)).toHaveLength(9);
  expect(descriptorsOf(parent.pid ?? 0)).toContain(place.script);
  for (const pid of family) expect(descriptorsOf(pid)).not.toContain(place.script);
  parent.kill("SIGKILL");
  expect(await allGone(family, 8000)).toEqual([]);
});

test("a child that ends at once reports its code, and its last words are kept", async () => {
  const child = await open().start(spec("exit"));
  expect(await child.exited).toEqual({ code: 7, signal: null });
  const missing = await open().start(spec("", { command: "no-such-command-here", args: [] }));
  // 126 where a folder of PATH may not be read by the account.
  expect([126, 127]).toContain((await missing.exited).code);
  expect(await missing.lastWords()).toEqual([expect.stringContaining("no-such-command-here")]);
});

test("standard error is masked, escaped, bounded in lines and in length", async () => {
  const supervisor = open();
  const secretive = await supervisor.start(spec("secrets", { env: { TOKEN: "declared-secret" } }));
  secretive.stdin.end();
  await secretive.lastWords();
  expect(lines.map((line) => line.text)).toEqual(["token=*** \\u{1b}[31m\\u{202e}", "last"]);
  lines = [];
  const long = await supervisor.start(spec("long-line"));
  long.stdin.end();
  await long.lastWords();
  expect(lines.map((line) => line.text.length)).toEqual([1000, 5]);
  lines = [];
  const flood = await supervisor.start(spec("flood"));
  flood.stdin.end();
  expect((await flood.lastWords()).length).toBeLessThanOrEqual(5);
  expect(lines.length).toBeLessThan(1000);
});

test("the injected mask is applied", async () => {
  const child = await open().start(spec("", { command: "sh", args: ["-c", "echo password hunter2 >&2"] }));
  await child.exited;
  await expect.poll(() => lines.map((line) => line.text)).toEqual(["password [masked]"]);
});

test.each([
  ["relative", "somewhere"],
  ["absent", "/no/such/folder"],
  ["a file", "/etc/passwd"],
])("a working directory that is %s is refused before a start", async (_title, cwd) => {
  const supervisor = open();
  await expect(supervisor.start(spec("good", { cwd }))).rejects.toMatchObject({
    code: "invalid_input",
    details: { field: "cwd" },
  });
  expect(supervisor.count()).toBe(0);
});

test.runIf(isRoot)("a working directory that the account may not enter ends the child", async () => {
  const closed = join(place.folder, "closed");
  mkdirSync(closed, { mode: 0o700 });
  const child = await open().start(spec("good", { cwd: closed }));
  expect((await child.exited).code).toBe(126);
});

test("starts no more than the limit, and none after closing", async () => {
  const supervisor = open({ childrenMax: 1 });
  await supervisor.start(spec());
  await expect(supervisor.start(spec())).rejects.toMatchObject({ code: "limit_exceeded" });
  await supervisor.close();
  expect(supervisor.count()).toBe(0);
  await expect(supervisor.start(spec())).rejects.toMatchObject({ code: "unavailable" });
});

test("as root without an account nothing is started, and the fix is named", async () => {
  const isolation = resolveIsolation({ euid: 0 });
  expect(isolation).toMatchObject({ mode: "refused", fault: { code: "forbidden" } });
  expect(isolation.mode === "refused" && isolation.fault.message).toMatch(/RUNLAYER_STDIO_USER/);
  expect(resolveIsolation({ euid: 0, user: "nobody" })).toMatchObject({ mode: "user" });
  expect(resolveIsolation({ euid: 4242, user: "nobody" })).toMatchObject({ mode: "refused" });
  expect(resolveIsolation({ euid: 4242, programFolders: ["/nowhere"] })).toEqual({ mode: "none" });
  expect(resolveIsolation({ euid: undefined })).toMatchObject({ mode: "refused" });
});

test("the account is found by name or number, and is never root", () => {
  const nobody = findStdioUser("nobody");
  expect(findStdioUser(String(nobody.uid))).toEqual(nobody);
  expect(findStdioUser("54321:54322")).toMatchObject({ uid: 54321, gid: 54322 });
  for (const wrong of ["root", "0", "0:0", "54321:0", "no-such-account", ""]) {
    expect(() => findStdioUser(wrong), wrong).toThrow(/RUNLAYER_STDIO_USER/);
  }
});
