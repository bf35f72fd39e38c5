import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FIXTURE_SKILLS, writeFixtureHome } from "../../test/fixtures/sweep/homes.ts";
import { CLIENTS } from "./clients.ts";
import type { Facts } from "./facts.ts";
import { scanHome } from "./scan-home.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "sweep-home-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const scan = (platform: "darwin" | "linux" | "win32" = "linux"): Promise<Facts> =>
  scanHome({ home, platform, root: join(home, "no-root"), env: {} });

test.each(["darwin", "linux", "win32"] as const)(
  "finds all that is planted on %s, and invents nothing",
  async (platform) => {
    const files = await writeFixtureHome(home, platform);
    const facts = await scan(platform);
    const planted = files.flatMap((file) => file.servers.map((name) => `${file.client} ${name} ${file.path}`));
    const found = facts.servers.map(
      (server) => `${server.client ?? ""} ${server.name} ${relative(home, server.path ?? "")}`,
    );
    expect(found.toSorted()).toEqual(planted.toSorted());
    expect(facts.problems).toEqual([]);
    expect(facts.skills.map((skill) => relative(home, skill.path)).toSorted()).toEqual([...FIXTURE_SKILLS].toSorted());
    expect(facts.servers.filter((server) => server.line === undefined)).toEqual([]);
    expect(facts.servers.filter((server) => server.url === undefined && server.command !== "npx")).toEqual([]);
    const clientsPlanted = new Set(files.map((file) => file.client));
    expect(CLIENTS.filter((client) => !clientsPlanted.has(client.id))).toEqual([]);
  },
);

test.each([
  [".config/Cursor/User/workspaceStorage/1a/workspace.json", (folder: string) => ({ folder: `file://${folder}` })],
  [
    ".config/Code/User/workspaceStorage/1a/workspace.json",
    (folder: string) => ({ workspace: `file://${folder}/a.code-workspace` }),
  ],
  [".gemini/config/projects/one.json", (folder: string) => ({ id: "1", roots: [{ uri: `file://${folder}` }] })],
  [".codex/config.toml", (folder: string) => `[projects."${folder}"]\ntrust_level = "trusted"\n`],
])("reads the project outside the home that %s names", async (path, write) => {
  const outside = await mkdtemp(join(tmpdir(), "sweep project-"));
  try {
    await mkdir(join(outside, ".agents"));
    await writeFile(join(outside, ".agents/mcp_config.json"), '{"mcpServers":{"outside":{"command":"x"}}}');
    const content = write(path.endsWith(".toml") ? outside : outside.replaceAll(" ", "%20"));
    await mkdir(join(home, path, ".."), { recursive: true });
    await writeFile(join(home, path), typeof content === "string" ? content : JSON.stringify(content));
    expect((await scan()).servers).toMatchObject([{ name: "outside", client: "antigravity" }]);
  } finally {
    await rm(outside, { recursive: true, force: true });
  }
});

test("knows at least 30 clients", () => {
  expect(CLIENTS.length).toBeGreaterThanOrEqual(30);
  expect(new Set(CLIENTS.map((client) => client.id)).size).toBe(CLIENTS.length);
});

test.each([
  ["binary", (text: string) => plistOf("config_toml_base64", Buffer.from(text).toString("base64"))],
  [
    "XML",
    (text: string) =>
      `<?xml version="1.0"?><plist version="1.0"><dict><key>config_toml_base64</key>\n<string>${Buffer.from(text).toString("base64")}</string></dict></plist>`,
  ],
])("reads what device management set for Codex in a %s property list", async (_form, write) => {
  const root = join(home, "machine");
  const path = join(root, "Library/Managed Preferences/com.openai.codex.plist");
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, write('[mcp_servers.managed]\ncommand = "x"\n'));
  const facts = await scanHome({ home, platform: "darwin", root, env: {} });
  expect(facts.servers).toMatchObject([{ name: "managed", scope: "managed", client: "codex", path }]);
  await writeFile(path, Buffer.from("bplist00\u0001\u0002\u0003", "latin1"));
  const broken = await scanHome({ home, platform: "darwin", root, env: {} });
  expect(broken).toMatchObject({ servers: [], problems: [{ client: "codex", path }] });
});

/** A binary property list of one text under one key, as `plutil -convert binary1` writes it. */
function plistOf(key: string, value: string): Buffer {
  const text = (content: string): Buffer => {
    const bytes = Buffer.from(content, "ascii");
    const size = bytes.length;
    const marker = size < 15 ? [0x50 | size] : [0x5f, 0x11, size >> 8, size & 0xff];
    return Buffer.concat([Buffer.from(marker), bytes]);
  };
  const objects = [Buffer.from([0xd1, 1, 2]), text(key), text(value)];
  const offsets = objects.map(
    (_object, index) => 8 + objects.slice(0, index).reduce((sum, { length }) => sum + length, 0),
  );
  const table = Buffer.concat(offsets.map((offset) => Buffer.from([offset >> 8, offset & 0xff])));
  const trailer = Buffer.alloc(32);
  trailer.set([2, 1], 6);
  trailer.writeBigUInt64BE(3n, 8);
  trailer.writeBigUInt64BE(0n, 16);
  trailer.writeBigUInt64BE(BigInt(8 + objects.reduce((sum, { length }) => sum + length, 0)), 24);
  return Buffer.concat([Buffer.from("bplist00"), ...objects, table, trailer]);
}

test("reads managed files below the machine's root", async () => {
  const root = join(home, "machine");
  await mkdir(join(root, "etc/claude-code"), { recursive: true });
  await writeFile(join(root, "etc/claude-code/managed-mcp.json"), '{"mcpServers":{"m":{"command":"x"}}}');
  const facts = await scanHome({ home, platform: "linux", root, env: {} });
  expect(facts.servers).toMatchObject([{ name: "m", scope: "managed", client: "claude-code" }]);
});

test.each([
  ["cut short", '{\n  "mcpServers": {\n    "a": '],
  ["binary", Buffer.from([0, 1, 2, 3])],
  ["not UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ["deeply nested", `{"mcpServers": ${"[".repeat(100_000)}`],
] as const)("reports a file that is %s, and goes on", async (_name, content) => {
  await mkdir(join(home, ".cursor"));
  await mkdir(join(home, ".kiro/settings"), { recursive: true });
  await writeFile(join(home, ".cursor/mcp.json"), content);
  await writeFile(join(home, ".kiro/settings/mcp.json"), '{"mcpServers":{"k":{"command":"x"}}}');
  const facts = await scan();
  expect(facts.problems).toMatchObject([{ client: "cursor", path: join(home, ".cursor/mcp.json") }]);
  expect(facts.servers.map((server) => server.name)).toEqual(["k"]);
});

test.each([
  ["a list for an object", ".cursor/mcp.json", '["x"]', 1],
  ["a text for the map of servers", ".cursor/mcp.json", '{\n\n "mcpServers": "none"\n}', 3],
  ["a text for a server", ".kiro/settings/mcp.json", '{\n "mcpServers": {"a": {"command": "x"},\n "b": "npx"}}', 3],
  ["a number for the map of servers", ".codex/config.toml", 'model = "x"\nmcp_servers = 3\n', 2],
])("reports %s, which would hide what is configured", async (...[, path, content, line]) => {
  await mkdir(join(home, path, ".."), { recursive: true });
  await writeFile(join(home, path), content);
  const facts = await scan();
  expect(facts.problems).toMatchObject([{ path: join(home, path), line }]);
  expect(facts.problems[0]?.reason).not.toContain("npx");
});

test.each([
  [".claude.json", '{"numStartups": 3}'],
  [".continue/config.yaml", "# nothing yet\n"],
  [".config/goose/config.yaml", "extensions:\n  developer:\n    type: builtin\n"],
  ["work/mcp.json", '["of something else"]'],
  [".cursor/mcp.json", '{"mcpServers": null}'],
])("takes %s for what it is, without a server", async (path, content) => {
  await mkdir(join(home, path, ".."), { recursive: true });
  await writeFile(join(home, path), content);
  expect(await scan()).toMatchObject({ servers: [], problems: [] });
});

test("names the line and column of the fault", async () => {
  await mkdir(join(home, ".cursor"));
  await writeFile(join(home, ".cursor/mcp.json"), '{\n  "mcpServers": {{\n}');
  expect((await scan()).problems[0]).toMatchObject({ line: 2, column: 18 });
});

test("reads UTF-16 and byte-order marks", async () => {
  await mkdir(join(home, ".cursor"));
  await mkdir(join(home, ".kimi"));
  const text = '{"mcpServers":{"bom":{"command":"x"}}}';
  await writeFile(join(home, ".cursor/mcp.json"), Buffer.from(`\ufeff${text}`, "utf16le"));
  await writeFile(join(home, ".kimi/mcp.json"), `\ufeff${text}`);
  const facts = await scan();
  expect(facts.servers.map((server) => server.client)).toEqual(["cursor", "kimi"]);
});

test("survives YAML bombs, pipes, devices, link circles and 10 MB files", async () => {
  for (const folder of [".continue", ".kiro/settings", ".kimi", ".factory", ".cursor", "loop"]) {
    await mkdir(join(home, folder), { recursive: true });
  }
  const bomb = Array.from(
    { length: 12 },
    (_item, index) =>
      `a${String(index)}: &a${String(index)} [${Array(9)
        .fill(index === 0 ? "x" : `*a${String(index - 1)}`)
        .join(",")}]`,
  );
  await writeFile(join(home, ".continue/config.yaml"), `${bomb.join("\n")}\nmcpServers: *a11\n`);
  execFileSync("mkfifo", [join(home, ".kiro/settings/mcp.json")]);
  await symlink("/dev/zero", join(home, ".kimi/mcp.json"));
  await symlink(join(home, ".factory/mcp.json"), join(home, ".factory/mcp.json"));
  await symlink(home, join(home, "loop/home"));
  await writeFile(
    join(home, ".cursor/mcp.json"),
    JSON.stringify({ pad: "x".repeat(10_000_000), mcpServers: { big: { command: "x" } } }),
  );
  const startedAt = performance.now();
  const facts = await scan();
  expect(performance.now() - startedAt).toBeLessThan(5000);
  expect(facts.servers.map((server) => server.name)).toEqual(["big"]);
  expect(facts.problems.map((problem) => problem.client)).toEqual(["continue"]);
  expect(
    facts.coverage
      .filter((entry) => entry.status === "skipped")
      .map((entry) => relative(home, entry.place))
      .toSorted(),
  ).toEqual([".factory/mcp.json", ".kimi/mcp.json", ".kiro/settings/mcp.json"]);
});

test.each([".openclaw", ".moltbot", ".clawdbot", ".hermes"])("recognizes an agent by its folder %s", async (folder) => {
  await mkdir(join(home, folder));
  expect((await scan()).installs).toMatchObject([{ kind: "agent", path: join(home, folder) }]);
});

test.each([".nvm/versions/node/v24.0.0/bin/openclaw", ".local/bin/hermes", "AppData/Roaming/npm/openclaw.cmd"])(
  "recognizes an agent by its program %s",
  async (path) => {
    await mkdir(join(home, path, ".."), { recursive: true });
    await writeFile(join(home, path), "#!/bin/sh\n");
    expect((await scan("win32")).installs).toMatchObject([{ kind: "agent", path: join(home, path) }]);
  },
);

test("says that a walk ended at its limit", async () => {
  await mkdir(join(home, "a/b/c/d"), { recursive: true });
  const facts = await scanHome({
    home,
    platform: "linux",
    root: "/none",
    env: {},
    walkLimits: { depthMax: 2, entriesMax: 1000, timeMs: 1000 },
  });
  expect(facts.coverage).toMatchObject([{ status: "partial", place: home }]);
});
