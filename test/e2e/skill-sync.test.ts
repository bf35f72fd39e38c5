import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runlayer } from "../harness/cli.ts";
import { at, startTestApp, type TestApp } from "../harness/app.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../examples/skills");

let app: TestApp;
let folder: string;

beforeAll(async () => {
  app = await startTestApp();
  folder = mkdtempSync(join(tmpdir(), "runlayer-skills-"));
  cpSync(join(EXAMPLES, "format-date"), join(folder, "git", "format-date"), { recursive: true });
  cpSync(join(EXAMPLES, "format-date"), join(folder, "git", "other"), { recursive: true });
  edit("other", "SKILL.md", (text) => text.replace("name: format-date", "name: other"));
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

function edit(skill: string, file: string, change: (text: string) => string): void {
  const path = join(folder, "git", skill, file);
  writeFileSync(path, change(readFileSync(path, "utf8")));
}

async function skills(...args: string[]) {
  const env = { HOME: folder, RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey };
  return runlayer(["skills", ...args], env);
}

test("a git folder and the registry are kept equal in both directions", async () => {
  const git = join(folder, "git");
  expect((await skills("push", git, "--dry-run")).out).toContain("other: new");
  expect((await app.rest("GET /skills")).body["total"]).toBe(0);
  expect(await skills("push", git)).toMatchObject({ exitCode: 0 });
  expect((await skills("push", git)).out).toBe("format-date: unchanged\nother: unchanged\n");

  edit("other", "SKILL.md", (text) => `${text}\nMore words.\n`);
  expect((await skills("push", git)).out).toContain("other: changed");
  expect(at((await app.rest("GET /skills/other")).body, "skill", "version")).toBe(2);

  const pulled = join(folder, "pulled");
  expect((await skills("pull", pulled)).out).toContain("other: new");
  expect((await skills("pull", pulled)).out).toBe("format-date: unchanged\nother: unchanged\n");
  expect(readFileSync(join(pulled, "other", "skill.js"), "utf8")).toBe(
    readFileSync(join(git, "other", "skill.js"), "utf8"),
  );
  expect((await skills("push", pulled)).out).toBe("format-date: unchanged\nother: unchanged\n");

  rmSync(join(git, "other"), { recursive: true });
  expect((await skills("push", git)).out).toContain("--prune deletes it");
  expect((await skills("push", git, "--prune")).out).toContain("other: deleted");
  expect((await app.rest("GET /skills/other")).status).toBe(404);
});

test("refuses a folder without skills, and a skill whose frontmatter is wrong, by its line", async () => {
  expect(await skills("push", join(folder, "nowhere"))).toMatchObject({ exitCode: 3 });
  cpSync(join(EXAMPLES, "format-date"), join(folder, "bad", "format-date"), { recursive: true });
  writeFileSync(join(folder, "bad", "format-date", "SKILL.md"), "---\nname: format-date\n---\nNo description.\n");
  const { exitCode, err } = await skills("push", join(folder, "bad"));
  expect(exitCode).toBe(2);
  expect(err).toMatch(/line \d/);
});

test("runs a skill's own cases", async () => {
  expect(await skills("test", join(EXAMPLES, "format-date"))).toMatchObject({ exitCode: 0 });
  const broken = join(folder, "broken", "format-date");
  cpSync(join(EXAMPLES, "format-date"), broken, { recursive: true });
  writeFileSync(join(broken, "skill.js"), "export default function () { return {}; }");
  const { exitCode, out } = await skills("test", broken);
  expect(exitCode).toBe(1);
  expect(out).toContain("failed format-date");
});
