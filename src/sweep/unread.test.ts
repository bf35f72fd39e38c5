import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { scanHome } from "./scan-home.ts";

/* What is there and was not read is told: a finding below it is not gone. */

let folder: string;
let home: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sweep-unread-"));
  home = join(folder, "home");
  await mkdir(home);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), text);
}

async function link(target: string, path: string): Promise<void> {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await symlink(target, join(home, path));
}

const SKILL = "---\nname: x\ndescription: d\n---\n";

async function scan() {
  const facts = await scanHome({ home, platform: "linux", root: join(folder, "root"), env: {} });
  const skipped = facts.coverage.filter(({ status }) => status === "skipped");
  return {
    skills: facts.skills.map(({ path }) => relative(home, path)).toSorted(),
    unread: Object.fromEntries(skipped.map(({ place, reason }) => [relative(home, place), reason])),
  };
}

test("a skills folder, one inside it and a folder of plugins that may not be listed", async () => {
  // A link to itself fails for everybody, as missing permission does for everybody but root.
  await link("skills", ".claude/skills");
  await link("inner", ".cursor/skills/inner");
  await link("cache", ".claude/plugins/cache");
  expect((await scan()).unread).toEqual({
    ".claude/skills": "symbolic links in a circle",
    ".cursor/skills/inner": "symbolic links in a circle",
    ".claude/plugins/cache": "symbolic links in a circle",
  });
});

test("a project that a client names and that is not there", async () => {
  await put(".claude.json", JSON.stringify({ projects: { [join(folder, "away")]: {} } }));
  const uri = pathToFileURL(join(folder, "gone")).href;
  await put(".config/Code/User/workspaceStorage/1/workspace.json", JSON.stringify({ folder: uri }));
  expect((await scan()).unread).toEqual({
    "../away": "the project is not there",
    "../gone": "the project is not there",
  });
});

test("a rule file that is too large, and one that is no text", async () => {
  await put("work/CLAUDE.md", "x".repeat(1024 * 1024 + 1));
  await put("work/AGENTS.md", "a\0b");
  await put("work/GEMINI.md", "fine");
  const { unread, skills } = await scan();
  expect(unread).toEqual({ "work/CLAUDE.md": "larger than 1048576 bytes", "work/AGENTS.md": "binary content" });
  expect(skills).toEqual(["work/GEMINI.md"]);
});

test("a linked skill is read once, wherever it is linked from, and one out of the home is named", async () => {
  await put("shared/one/SKILL.md", SKILL);
  await put("shared/group/two/SKILL.md", SKILL);
  await put("shared/group/deep/er/three/SKILL.md", SKILL);
  await mkdir(join(folder, "outside"));
  await writeFile(join(folder, "outside/SKILL.md"), SKILL);
  await link(join(home, "shared/one"), ".claude/skills/one");
  await link(join(home, "shared/one"), ".claude/skills/again");
  await link(join(home, "shared/one"), ".cursor/skills/one");
  await link(join(home, "shared/group"), ".claude/skills/group");
  await link(join(folder, "outside"), ".claude/skills/outside");
  await link(join(home, ".claude/skills"), ".claude/skills/circle");
  await link(join(home, "nothing"), ".claude/skills/broken");
  const { unread, skills } = await scan();
  expect(skills).toEqual([".claude/skills/again", ".claude/skills/group/two"]);
  expect(unread).toEqual({ ".claude/skills/outside": "a link out of the home" });
});
