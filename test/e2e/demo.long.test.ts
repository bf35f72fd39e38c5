import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";

/* The demo as a person runs it, in a temporary folder of its own: what it leaves behind can be seen there. */

const DEMO = resolve(import.meta.dirname, "../../demo/run.ts");
// A whole installation with two upstream servers starts in it, on a machine that runs other tests as well.
const TIMEOUT_MS = 90_000;

interface Ending {
  readonly code: number | null;
  readonly said: string;
  readonly complaint: string;
}

let folder: string;
let once: Ending;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-demo-test-"));
  // The stdio server's account has to reach what the demo puts below it.
  chmodSync(folder, 0o755);
  once = await runDemo(["--once"]);
}, TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function runDemo(args: readonly string[], onOutput?: (said: string, pid: number) => void): Promise<Ending> {
  const env = { ...process.env, TMPDIR: folder, CI: "" };
  const child = spawn(process.execPath, [DEMO, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
    onOutput?.(said, child.pid ?? 0);
  });
  const complaint = await text(child.stderr);
  return { code: child.exitCode ?? (await ended(child)), said, complaint };
}

const ended = (child: ReturnType<typeof spawn>): Promise<number | null> =>
  new Promise((settle) => void child.once("exit", settle));

/** The rows of its audit table: `[seq, actor, action, resource, outcome]`. */
const rows = (said: string): string[][] =>
  said
    .split("\n")
    .filter((line) => /^ +\d+ {2}\S/.test(line))
    .map((line) => line.trim().split(/ {2,}/));

/** Processes that still name the test's folder in their command line or environment. */
function leftProcesses(): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => ["cmdline", "environ"].some((file) => readOf(pid, file).includes(folder)));
}

function readOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // Ended meanwhile, or another user's: neither is ours.
    return "";
  }
}

test("ends well by itself after the story", () => {
  expect(once.complaint).toBe("");
  expect(once.code).toBe(0);
});

test.each([
  ["both servers are found", /files: server-filesystem over stdio.* \d+ tools found/],
  ["the second one over HTTP", /everything: server-everything over HTTP behind a token, \d+ tools found/],
  ["the list is filtered", /it sees 7 tools: read_file, .*list_allowed_directories\n/],
  ["an allowed call is answered", /read_text_file release-notes.md: answered with the file/],
  ["a tool outside the assignment is refused", /write_file overwritten.md: refused.*-32011 not_assigned/],
  ["a server outside the assignment does not exist", /does not exist for it: HTTP 404/],
  ["the credential is needed and injected", /answers HTTP 401\n.*get-sum 19 23 through the gateway: 42/],
  ["agents share a skill", /both get .*2026-03-01.* and .*2026-03-01/],
  ["its uses are counted by agent", /counts 2 uses, by operator-bot and release-writer/],
  ["a new version reaches open connections", /the same connection gets .*1 March 2026/],
  ["a held run goes on after approval", /goes on when a person has approved it/],
  ["a suspension works on open connections", /echo after, on the same connection: HTTP 403/],
])("tells that %s", (_what, claim) => {
  expect(once.said).toMatch(claim);
});

test("its audit events say the same as its story, in an unbroken sequence", () => {
  const events = rows(once.said);
  expect(events.map(([seq]) => Number(seq))).toEqual(events.map((_, index) => index + 1));
  const told = events.map((row) => row.slice(1).join(" | "));
  for (const expected of [
    "bootstrap | server.create | files | success",
    "bootstrap | server.create | everything | success",
    "bootstrap | agent.create | release-writer | success",
    "release-writer | session.open | files | success",
    "release-writer | tool.list | files | success",
    "release-writer | tool.call | files/read_text_file | success",
    "release-writer | tool.call | files/write_file | denied (not_assigned)",
    "release-writer | session.open | everything | denied (not_assigned)",
    "operator-bot | tool.call | everything/get-sum | success",
    "operator-bot | tool.call | files/write_file | success",
    "operator-bot | skill.run | format-date | held (policy)",
    "bootstrap | agent.update | operator-bot | success",
    "operator-bot | session.open | everything | denied (agent_suspended)",
  ]) {
    expect(told.filter((row) => row === expected)).toHaveLength(1);
  }
});

test("shows no key when there is nobody to paste it", () => {
  expect(once.said).not.toMatch(/rl_(?:org|agent)_/);
});

test("leaves no file and no process behind", () => {
  expect(readdirSync(folder)).toEqual([]);
  expect(leftProcesses()).toEqual([]);
});

test(
  "stays up with lines to paste until it is interrupted, then cleans up",
  async () => {
    let interruptions = 0;
    const ending = await runDemo([], (said, pid) => {
      if (interruptions > 0 || !/claude mcp add --transport http files \S+/.test(said)) return;
      interruptions += 1;
      process.kill(pid, "SIGINT");
    });
    expect(ending.complaint).toBe("");
    expect(ending.code).toBe(0);
    expect(interruptions).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
    expect(leftProcesses()).toEqual([]);
  },
  TIMEOUT_MS,
);
