import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { plantEveryPlace, plantEverySkill } from "../../test/fixtures/sweep/every-place.ts";
import { CLIENTS } from "./clients.ts";
import { toReportSection } from "./device-report.ts";
import { aggregate } from "./finding.ts";
import { EMPTY_REGISTRY } from "./match.ts";
import { createObserver } from "./observe.ts";
import { toSarif } from "./sarif.ts";
import { scanHome } from "./scan-home.ts";

let home: string;
let root: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), "sweep-places-"));
  [home, root] = [join(folder, "home/ada"), folder];
});
afterEach(() => rm(root, { recursive: true, force: true }));

test.each(["darwin", "linux", "win32"] as const)(
  "reads every place of the table on %s, and shows no secret from there",
  async (platform) => {
    const planted = await plantEveryPlace(platform, { home, root });
    const skills = await plantEverySkill(platform, { home, root });
    const facts = await scanHome({ home, platform, root, env: {} });
    expect(facts.skills.map(({ path }) => path).toSorted()).toEqual(skills.toSorted());
    expect(facts.problems).toEqual([]);
    const found = new Map(facts.servers.map((server) => [server.path, server]));
    const missed = planted.filter(({ path, name }) => found.get(path)?.name !== name);
    expect(missed).toEqual([]);
    const wrong = planted.filter(({ path, clients }) => !clients.includes(found.get(path)?.client ?? ""));
    expect(wrong).toEqual([]);
    const invented = facts.servers.filter(({ path }) => !planted.some((place) => place.path === path));
    expect(invented).toEqual([]);
    const installed = new Set(facts.installs.map(({ client }) => client));
    const readers = new Set(planted.flatMap(({ clients }) => clients));
    const unsigned = CLIENTS.filter(({ id, signs }) => readers.has(id) && signs.length > 0 && !installed.has(id));
    expect(unsigned.map(({ id }) => id)).toEqual([]);

    const findings = aggregate(createObserver(EMPTY_REGISTRY, "k")(facts, { device: "d", user: "ada" }));
    const sent = toReportSection(facts, { place: "home", path: home, user: "ada" }, "k");
    const outputs = JSON.stringify([findings, toSarif(findings), sent]);
    expect(findings.map(({ code }) => code)).toContain("SECRET-INLINE");
    expect(planted.filter(({ secret }) => outputs.includes(secret))).toEqual([]);
  },
);

const SERVER = '{"mcpServers":{"moved":{"command":"x"}}}';

test.each([
  ["CLAUDE_CONFIG_DIR", "", ".claude.json", SERVER],
  ["CLAUDE_CODE_PLUGIN_CACHE_DIR", "", "acme/tools/1.0/.mcp.json", SERVER],
  ["CLAUDE_CODE_PLUGIN_SEED_DIR", "", "acme/tools/1.0/.mcp.json", SERVER],
  ["CODEX_HOME", "", "config.toml", '[mcp_servers.moved]\ncommand = "x"\n'],
  ["CLINE_DIR", "", "data/settings/cline_mcp_settings.json", SERVER],
  ["OPENCODE_CONFIG_DIR", "", "opencode.jsonc", '{"mcp":{"moved":{"type":"local","command":["x"]}}}'],
  ["OPENCODE_CONFIG", "own.json", "own.json", '{"mcp":{"moved":{"type":"local","command":["x"]}}}'],
  ["VSCODE_PORTABLE", "", "user-data/User/mcp.json", '{"servers":{"moved":{"command":"x"}}}'],
  ["XDG_CONFIG_HOME", "", "Claude/claude_desktop_config.json", SERVER],
] as const)("follows %s of the own home", async (...[variable, suffix, file, content]) => {
  const folder = join(root, "moved");
  const path = join(folder, file);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, content);
  const env = { [variable]: join(folder, suffix) };
  const facts = await scanHome({ home, platform: "linux", root: join(root, "none"), env });
  expect(facts.servers).toMatchObject([{ name: "moved", path }]);
  expect((await scanHome({ home, platform: "linux", root: join(root, "none"), env: {} })).servers).toEqual([]);
});
