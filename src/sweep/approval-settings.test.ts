import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EMPTY_REGISTRY } from "./match.ts";
import { createObserver } from "./observe.ts";
import { scanHome } from "./scan-home.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "sweep-approvals-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function judge(path: string, content: string) {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), content);
  const facts = await scanHome({ home, platform: "linux", root: join(home, "none"), env: {} });
  const observations = createObserver(EMPTY_REGISTRY, "k")(facts, {});
  return observations.filter(({ code }) => code === "AUTO-APPROVE");
}

test.each([
  ["claude-code", ".claude/settings.json", '{\n "enableAllProjectMcpServers": true\n}', 2],
  ["claude-code", "work/.claude/settings.local.json", '{"permissions": {"defaultMode": "bypassPermissions"}}', 1],
  ["claude-code", "work/.claude/settings.json", '{"permissions": {\n"allow": ["Read", "mcp__github"]}}', 2],
  ["claude-code", ".claude/settings.json", '{"permissions": {"allow": ["mcp__github__*"]}}', 1],
  ["vscode", ".config/Code/User/settings.json", '{\n// all\n"chat.tools.autoApprove": true,\n}', 3],
  ["vscode", "work/.vscode/settings.json", '{"chat.tools.global.autoApprove": true}', 1],
  ["codex", ".codex/config.toml", 'model = "x"\napproval_policy = "never"\n', 2],
  ["codex", ".codex/config.toml", '[mcp_servers.a]\ncommand = "x"\ndefault_tools_approval_mode = "approve"\n', 1],
])("finds a setting of %s in %s by which tools run without a question", async (...[client, path, content, line]) => {
  expect(await judge(path, content)).toMatchObject([{ instance: { client, path: join(home, path), line } }]);
});

test.each([
  [
    ".claude/settings.json",
    '{"permissions": {"allow": ["mcp__github__list_issues", "Bash(ls)"], "defaultMode": "default"}}',
  ],
  [".claude/settings.json", '{"enableAllProjectMcpServers": false}'],
  [".config/Code/User/settings.json", '{"chat.tools.autoApprove": false}'],
  [".codex/config.toml", 'approval_policy = "on-request"\n'],
])("leaves %s alone where it asks", async (path, content) => {
  expect(await judge(path, content)).toEqual([]);
});
