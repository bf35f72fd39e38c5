import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { readSkillFolder } from "../package/skill-folder.ts";
import { toSkillPackage } from "../package/skill-package.ts";
import { scanSkill } from "../scan/scan-skill.ts";
import type { Skill, ToolCallError } from "../skill-author.ts";
import { runSkillTest } from "./run-skill-test.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../../examples/skills");

test.each(await readdir(EXAMPLES))("the example %s is a valid skill without risk, and its cases hold", async (name) => {
  const skill = toSkillPackage(await readSkillFolder(join(EXAMPLES, name)), name);
  expect(scanSkill(skill, { scanText: () => [] })).toEqual({ risk: "none", evidence: [] });
  const report = await runSkillTest(join(EXAMPLES, name));
  expect(report).toMatchObject({ skill: name, ok: true });
  expect(report.cases.flatMap((each) => each.problems)).toEqual([]);
  expect(report.cases.length).toBeGreaterThan(1);
});

test("says what does not hold: the output, a call that was not made, one that was not recorded", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skill-test-"));
  await cp(join(EXAMPLES, "close-stale-issue"), folder, { recursive: true });
  const input = { repo: "web", number: 7, today: "2026-01-02" };
  const read = { server: "github", tool: "get_issue", result: { state: "open", updatedAt: "2026-01-01T00:00:00Z" } };
  const cases = {
    output: { input, calls: [read], output: { closed: true, days: 1 } },
    unused: { input, calls: [read, { server: "github", tool: "add_comment", result: {} }] },
    unrecorded: { input },
  };
  for (const [name, content] of Object.entries(cases)) {
    await writeFile(join(folder, `tests/wrong-${name}.json`), JSON.stringify(content));
  }
  const report = await runSkillTest(folder);
  const wrong = report.cases.filter((each) => !each.ok);
  expect(report.ok).toBe(false);
  expect(wrong.map((each) => each.name)).toEqual(["wrong-output", "wrong-unrecorded", "wrong-unused"]);
  expect(wrong.map((each) => each.problems.length)).toEqual([1, 1, 1]);
  await rm(folder, { recursive: true });
});

test("runs the cases against live servers when it is given a way to them", async () => {
  const tools: string[] = [];
  const toolCaller = {
    recheck: async () => undefined,
    callTool: async ({ tool }: { readonly tool: string }) => {
      tools.push(tool);
      return { status: "success", json: '{"state":"closed","updatedAt":"2026-01-01T00:00:00Z"}' } as const;
    },
  };
  const report = await runSkillTest(join(EXAMPLES, "close-stale-issue"), { toolCaller });
  expect(tools).toEqual(["get_issue", "get_issue"]);
  expect(report.cases.map((each) => each.ok)).toEqual([true, false]);
});

test("refuses a folder without cases, with a wrong case, or without a function", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skill-test-"));
  await writeFile(join(folder, "SKILL.md"), "---\nname: a\ndescription: d\n---\n");
  await expect(runSkillTest(folder)).rejects.toThrow(/nothing to run/);
  await writeFile(join(folder, "skill.js"), "export default () => 1");
  await expect(runSkillTest(folder)).rejects.toThrow(/no cases/);
  await cp(join(EXAMPLES, "format-date/tests"), join(folder, "tests"), { recursive: true });
  await writeFile(join(folder, "tests/long.json"), '{"inputs": 1}');
  await expect(runSkillTest(folder)).rejects.toThrow(expect.objectContaining({ code: "invalid_input" }));
  await rm(folder, { recursive: true });
});

const typed: Skill<{ readonly n: number }, number> = async ({ n }, { callTool, log }) => {
  log("n", n);
  await callTool("github", "list_issues", { n });
  return n;
};
const refused: ToolCallError = Object.assign(new Error("no"), { code: "forbidden" });

test("the types for authors fit what the sandbox gives", async () => {
  const context = { callTool: async (_server: string, tool: string) => tool, log: () => undefined };
  expect(await typed({ n: 3 }, context)).toBe(3);
  const refusing = { ...context, callTool: async () => Promise.reject(refused) };
  await expect(typed({ n: 3 }, refusing)).rejects.toMatchObject({ code: "forbidden" });
});
