import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runScan, type ScanAnswer } from "./run-scan.ts";

/* Homes and projects named together: each file counts once, whatever leads to it. */

let folder: string;
let home: string;
let project: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "sweep-homes-")));
  home = join(folder, "ada");
  project = join(home, "work/app");
  await put("ada/.cursor/mcp.json", { mcpServers: { one: { command: "npx", args: ["@acme/one@1.0.0"] } } });
  await put("ada/work/app/.mcp.json", { mcpServers: { two: { command: "npx", args: ["@acme/two@1.0.0"] } } });
  await put("ada/work/app/.cursor/mcp.json", "{ broken");
  await put("ada/work/app/.claude/settings.json", { enableAllProjectMcpServers: true });
  await put("ada/work/app/.claude/skills/fmt/SKILL.md", "---\nname: fmt\ndescription: d\n---\n");
  await put("ada/work/app/CLAUDE.md", "Be brief.\n");
  await mkdir(join(home, ".openclaw"));
  await put("root/etc/claude-code/managed-mcp.json", { mcpServers: { all: { url: "https://mcp.acme.example/mcp" } } });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), typeof value === "string" ? value : JSON.stringify(value));
}

const scan = (...paths: readonly string[]): Promise<ScanAnswer> =>
  runScan({ paths, includeProcesses: false, hashKey: "k", root: join(folder, "root") });

test.each([
  ["a project below a home", () => [home, project]],
  ["a project before its home", () => [project, home]],
  ["one home twice", () => [home, home, `${home}/`]],
  ["a link to a home", () => [join(folder, "link"), home]],
  ["a link to a project", () => [join(folder, "link/work/app"), home]],
])("reads each file once: %s", async (_what, paths) => {
  await symlink(home, join(folder, "link"));
  const alone = await scan(home);
  const counts = { configs: 3, servers: 3, skills: 2 };
  expect(alone.summary).toMatchObject({ ...counts, agents: 2 });
  const both = await scan(...paths());
  expect(both.summary).toMatchObject({ ...counts, findings: alone.summary.findings });
  const instancesOf = ({ findings }: ScanAnswer) => findings.map(({ key, instances }) => [key, instances.length]);
  expect(instancesOf(both)).toEqual(instancesOf(alone));
});

test("a project outside of the home counts beside it", async () => {
  await put("srv/tools/.mcp.json", { mcpServers: { three: { command: "npx", args: ["@acme/three@1.0.0"] } } });
  const both = await scan(home, join(folder, "srv/tools"));
  expect(both.summary).toMatchObject({ configs: 4, servers: 4 });
  expect(both.coverage.map(({ place }) => place)).toEqual([home, join(folder, "srv/tools")]);
});

test("says of each home what could not be read in it", async () => {
  await rm(join(project, ".mcp.json"));
  await mkdir(join(project, ".mcp.json"));
  const { coverage, summary } = await scan(home, project);
  expect(coverage.filter(({ status }) => status === "skipped").map(({ place }) => place)).toEqual([
    join(project, ".mcp.json"),
    join(project, ".mcp.json"),
  ]);
  expect(summary.configs).toBe(2);
});

test("what one home makes of a file of another hides nothing of it", async () => {
  await put("zoe-longer/.claude.json", { mcpServers: { own: { command: "npx", args: ["@acme/own@1.0.0"] } } });
  const other = join(folder, "zoe-longer");
  const alone = await scan(other);
  expect(alone.summary.servers).toBe(2);
  // Read for the servers of another client, which it has none of.
  await mkdir(join(home, ".amp"));
  await symlink(join(other, ".claude.json"), join(home, ".amp/settings.json"));
  const { findings } = await scan(home, other);
  const paths = findings.flatMap(({ instances }) => instances.map(({ path }) => path));
  expect(paths).toContain(join(other, ".claude.json"));
});
