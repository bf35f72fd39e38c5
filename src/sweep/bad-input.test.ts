import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Facts } from "./facts.ts";
import { parseConfig } from "./parse-config.ts";
import { textInPropertyList } from "./property-list.ts";
import { resolvePlace } from "./resolve-places.ts";
import { runScan } from "./run-scan.ts";
import { runScanCommand } from "./scan-command.ts";
import { scanHome } from "./scan-home.ts";

/* What a home may hold that nobody meant well; pipes, bombs and circles at the configurations are in scan-home.test.ts. */

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "sweep-bad-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function put(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), content);
}

const scan = (walkLimits?: { depthMax: number; entriesMax: number; timeMs: number }): Promise<Facts> =>
  scanHome({ home, platform: "linux", root: join(home, "no-root"), env: {}, walkLimits });

const blockYaml = Array.from({ length: 1500 }, (_item, level) => `${" ".repeat(level)}a:`).join("\n");

test.each([
  ["yaml", "nested in blocks", blockYaml],
  ["yaml", "nested in flow", "[".repeat(50_000)],
  ["yaml", "of merges upon merges", `a: &a {x: 1}\n${"b: {<<: [*a, *a]}\n".repeat(2000)}`],
  ["yaml", "larger than any", `a: ${"x".repeat(2_100_000)}`],
  ["json5", "nested", "[".repeat(50_000)],
  ["toml", "nested", `a = ${"[".repeat(50_000)}`],
  ["toml", "of a dotted key without end", `${"a.".repeat(50_000)}b = 1`],
  ["jsonc", "nested behind a comment", `// x\n${"[".repeat(1_000_000)}`],
] as const)("reads %s that is %s in time, and quotes none of it", (format, _what, text) => {
  const startedAt = performance.now();
  const parsed = parseConfig(text, format);
  expect(performance.now() - startedAt).toBeLessThan(3000);
  if (parsed.status === "malformed") expect(parsed.reason.length).toBeLessThan(60);
});

test.each(["file:///a%2fb", "file:///%00", "file:///%zz", "file:///", "file:///../../etc"])(
  "passes over a project that is named %s",
  async (folder) => {
    await put(".config/Code/User/workspaceStorage/1a/workspace.json", JSON.stringify({ folder }));
    await put(".cursor/mcp.json", '{"mcpServers":{"kept":{"command":"x"}}}');
    expect((await scan()).servers).toMatchObject([{ name: "kept" }]);
  },
);

test("a property list may say anything of itself", () => {
  const random = Array.from({ length: 500 }, (_item, index) => {
    const bytes = Buffer.alloc(8 + 40 + (index % 40));
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = (index * 31 + at * at * 7 + (at ^ index)) & 0xff;
    return Buffer.concat([Buffer.from("bplist00"), bytes]);
  });
  for (const bytes of random) {
    try {
      expect(textInPropertyList(bytes, "key")).toBeUndefined();
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }
});

test("takes member names of the language for names", async () => {
  await put(
    ".cursor/mcp.json",
    '{"mcpServers": {"__proto__": {"command": "x"}, "constructor": {"command": "y", "env": {"__proto__": "z"}}}}',
  );
  const facts = await scan();
  expect(facts.servers.map(({ name }) => name).toSorted()).toEqual(["__proto__", "constructor"]);
  expect(Object.hasOwn(Object.prototype, "command")).toBe(false);
});

test("finds what stands below names with line breaks, quotes and marks, and prints them harmless", async () => {
  const folder = "work/a\nb \u001b[31m\u202e'\"`/ü";
  await put(`${folder}/.cursor/mcp.json`, '{"mcpServers":{"odd":{"command":"x"}}}');
  expect((await scan()).servers).toMatchObject([{ name: "odd", path: join(home, folder, ".cursor/mcp.json") }]);
  let out = "";
  const options = { paths: [home], form: "table", failOn: "low" } as const;
  await runScanCommand(options, { out: (text) => void (out += text) });
  expect(out).toContain("/ü/.cursor/mcp.json");
  for (const mark of ["\u001b", "\u202e", "a\nb"]) expect(out).not.toContain(mark);
});

test.each([
  ["entries", { depthMax: 8, entriesMax: 50, timeMs: 60_000 }],
  ["time", { depthMax: 8, entriesMax: 1_000_000, timeMs: -1 }],
])("stops in a huge home at its limit of %s, says so, and keeps what it found", async (limit, walkLimits) => {
  await put(".cursor/mcp.json", '{"mcpServers":{"kept":{"command":"x"}}}');
  for (let index = 0; index < 60; index += 1) await put(`work/${String(index)}/x/y.txt`, "");
  const facts = await scan(walkLimits);
  expect(facts.servers).toMatchObject([{ name: "kept" }]);
  const whole = facts.coverage.find(({ place }) => place === home);
  expect(whole).toMatchObject({ status: "partial", reason: expect.stringContaining(limit) });
  // The next scan may get further: what it left out says nothing about what is gone.
  expect(whole?.isRepeatable).toBeUndefined();
});

test("stops when it is told to, and says that this is not all", async () => {
  for (let index = 0; index < 300; index += 1) {
    await put(
      `work/${String(index)}/.mcp.json`,
      `{"mcpServers":{"s${String(index)}":{"command":"x${String(index)}"}}}`,
    );
  }
  const stop = new AbortController();
  const whole = scanHome({ home, platform: "linux", root: join(home, "no-root"), env: {}, signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  const { servers, coverage } = await whole;
  expect(servers.length).toBeLessThan(300);
  expect(coverage).toMatchObject([{ place: home, status: "partial", reason: "stopped before the end" }]);
  const options = {
    paths: [home],
    includeProcesses: false,
    hashKey: "k",
    signal: AbortSignal.abort(new Error("stopped")),
  };
  await expect(runScan(options)).rejects.toThrow("stopped");
});

test("keeps no more text of skills than it can hold, and says which it did not judge", async () => {
  const large = `${"harmless words ".repeat(60_000)}\n`;
  for (let index = 0; index < 10; index += 1) {
    const skill = `.claude/skills/s${String(index)}`;
    await put(`${skill}/SKILL.md`, "---\nname: s\ndescription: d\n---\n");
    for (let file = 0; file < 12; file += 1) await put(`${skill}/${String(file)}.md`, large);
  }
  const { skills } = await scan();
  expect(skills).toHaveLength(10);
  const kept = skills.flatMap(({ files }) => files).reduce((sum, { text }) => sum + text.length, 0);
  expect(kept).toBeLessThanOrEqual(64 * 1024 * 1024);
  expect(skills.every(({ files, opaque }) => files.length + opaque.length === 13 && opaque.length > 0)).toBe(true);
  expect(new Set(skills.map(({ digest }) => digest)).size).toBe(1);
});

test("stops within a search for plugins too", async () => {
  for (let index = 0; index < 3000; index += 1) {
    await mkdir(join(home, `.claude/plugins/cache/${String(index % 50)}/${String(index)}`), { recursive: true });
  }
  const stop = new AbortController();
  const context = { home, platform: "linux", root: join(home, "no-root"), env: {}, signal: stop.signal } as const;
  const search = resolvePlace("~/.claude/plugins/cache/**/nothing.json", context);
  stop.abort();
  const startedAt = performance.now();
  await search;
  expect(performance.now() - startedAt).toBeLessThan(100);
});

test("hashes a program once, however many entries name it, and not without end", async () => {
  await put("srv/run.py", "print(1)\n");
  await symlink(join(home, "srv/run.py"), join(home, "srv/link.py"));
  for (let index = 0; index < 20; index += 1) {
    await put(`srv/large-${String(index)}.py`, "");
    await truncate(join(home, `srv/large-${String(index)}.py`), 60 * 1024 * 1024);
  }
  const run = (name: string) => ({ command: "python3", args: [join(home, `srv/${name}.py`)] });
  const large = Array.from({ length: 1000 }, (_item, index) => [
    `l${String(index)}`,
    run(`large-${String(index % 20)}`),
  ]);
  await put(
    ".cursor/mcp.json",
    JSON.stringify({ mcpServers: { one: run("run"), two: run("link"), ...Object.fromEntries(large) } }),
  );
  const { servers } = await scan();
  const hashes = new Map(servers.map(({ name, target }) => [name, target?.sha256]));
  expect(hashes.get("one")).toMatch(/^[0-9a-f]{64}$/);
  expect(hashes.get("two")).toBe(hashes.get("one"));
  // 60 MB each, 1 GiB in all: the others are told without a hash.
  expect(new Set(servers.filter(({ target }) => target?.sha256 !== undefined).map(({ args }) => args[0])).size).toBe(
    19,
  );
  expect(servers.every(({ target }) => target?.isWritableByOthers === false)).toBe(true);
});

test("passes over pipes, circles and binaries among skills, and says what it could not judge", async () => {
  await put(".claude/skills/good/SKILL.md", "---\nname: good\ndescription: d\n---\n");
  await put(".claude/skills/good/data.bin", Buffer.from([0, 1, 2]));
  execFileSync("mkfifo", [join(home, ".claude/skills/good/pipe")]);
  await symlink("/dev/zero", join(home, ".claude/skills/good/zero"));
  await symlink(join(home, ".claude/skills"), join(home, ".claude/skills/circle"));
  await mkdir(join(home, ".claude/skills/piped"));
  execFileSync("mkfifo", [join(home, ".claude/skills/piped/SKILL.md")]);
  await mkdir(join(home, "work/CLAUDE.md"), { recursive: true });
  const startedAt = performance.now();
  const { skills } = await scan();
  expect(performance.now() - startedAt).toBeLessThan(5000);
  const opaque = skills.flatMap((skill) => skill.opaque.map((path) => relative(home, path)));
  expect(opaque.toSorted()).toEqual([
    ".claude/skills/good/data.bin",
    ".claude/skills/good/pipe",
    ".claude/skills/good/zero",
    ".claude/skills/piped/SKILL.md",
  ]);
});

test("a file that grows while it is read is said to be unread, not malformed", async () => {
  // Files of /proc have no size before they are read: each read finds more than was said.
  await mkdir(join(home, ".cursor"));
  await symlink("/proc/self/status", join(home, ".cursor/mcp.json"));
  const facts = await scan();
  expect(facts.problems).toEqual([]);
  expect(facts.coverage).toContainEqual({
    target: "host",
    place: join(home, ".cursor/mcp.json"),
    status: "skipped",
    reason: "changed while it was read",
  });
});

test("a file that is rewritten again and again is read as one of its versions", async () => {
  const path = join(home, ".cursor/mcp.json");
  await put(".cursor/mcp.json", "{}");
  const version = (name: string): string =>
    JSON.stringify({ pad: name.repeat(20_000), mcpServers: { [name]: { command: "x" } } });
  let writes = 0;
  const timer = setInterval(() => writeFileSync(path, version((writes += 1) % 2 === 0 ? "even" : "odd")), 3);
  try {
    for (let round = 0; round < 6; round += 1) {
      const facts = await scan();
      expect(facts.problems).toEqual([]);
      expect(["", "even", "odd"]).toContain(facts.servers.map(({ name }) => name).join());
    }
  } finally {
    clearInterval(timer);
  }
  expect(writes).toBeGreaterThan(1);
});
