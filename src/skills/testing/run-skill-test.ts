import { toCanonicalJson } from "../../lib/canonical-json.ts";
import { systemClock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { readSkillFolder } from "../package/skill-folder.ts";
import { type SkillPackage, toSkillPackage } from "../package/skill-package.ts";
import type { CallerContext, ToolCaller } from "../runner/ports.ts";
import {
  createSkillRunner,
  type RunnableSkill,
  type SkillRunner,
  type SkillRunRequest,
  type SkillRunResult,
} from "../runner/skill-runner.ts";
import { createRecordedTools } from "./recorded-tools.ts";
import { readTestCases, type RecordedToolCall, type SkillTestCase } from "./test-case.ts";

export interface SkillTestOptions {
  /** Real servers instead of the recorded answers; then only input, output and error of the cases are used. */
  readonly toolCaller?: ToolCaller | undefined;
}

export interface SkillCaseReport {
  readonly name: string;
  readonly ok: boolean;
  /** In words, for the author. Empty when the case holds. */
  readonly problems: readonly string[];
  readonly logs: readonly string[];
  readonly durationMs: number;
}

export interface SkillTestReport {
  readonly skill: string;
  readonly ok: boolean;
  readonly cases: readonly SkillCaseReport[];
}

/** Runs given again after approvals at most; a skill asks for few. */
const ATTEMPTS_MAX = 10;

/**
 * Runs the cases in `tests/` of a skill's folder in the same sandbox that serves. Throws `invalid_input` when the folder
 * is no skill with a function, or has no cases.
 */
export async function runSkillTest(folder: string, options: SkillTestOptions = {}): Promise<SkillTestReport> {
  const skill = toSkillPackage(await readSkillFolder(folder));
  const runnable = toRunnable(skill);
  const cases = readTestCases(skill.files);
  if (cases.length === 0) throw new AppError("invalid_input", "the skill has no cases; add one as `tests/<name>.json`");
  const reports: SkillCaseReport[] = [];
  let tools: ToolCaller = createRecordedTools([]);
  // One runner for all cases: starting its thread is what takes the time.
  const runner = createSkillRunner({
    toolCaller: {
      callTool: async (call, callOptions) => tools.callTool(call, callOptions),
      recheck: async (call) => tools.recheck(call),
    },
    clock: systemClock,
    sandbox: { threads: 1 },
  });
  try {
    for (const testCase of cases) {
      const recorded = createRecordedTools(testCase.calls);
      tools = options.toolCaller ?? recorded;
      const request = { skill: runnable, input: testCase.input, caller: callerOf(testCase) };
      // A person decides on live calls: that is not waited for.
      const result = await (options.toolCaller === undefined ? runToEnd(runner, request) : runner.run(request));
      reports.push(toReport(testCase, result, options.toolCaller === undefined ? recorded.unused() : []));
    }
  } finally {
    await runner.close();
  }
  return { skill: skill.document.name, ok: reports.every((report) => report.ok), cases: reports };
}

function toRunnable({ document, function: declared }: SkillPackage): RunnableSkill {
  if (declared === undefined)
    throw new AppError("invalid_input", "the skill has no `skill.js`: there is nothing to run");
  return { name: document.name, ...declared };
}

/** Continues a held run as after its approval, with its journal, so that calls made twice are noticed. */
async function runToEnd(runner: SkillRunner, request: SkillRunRequest): Promise<SkillRunResult> {
  let result = await runner.run(request);
  for (let attempt = 1; result.status === "held" && attempt < ATTEMPTS_MAX; attempt += 1) {
    result = await runner.run({ ...request, journal: result.journal });
  }
  return result;
}

function callerOf({ name }: SkillTestCase): CallerContext {
  return { agentId: "skill-test", correlationId: name };
}

function toReport(
  testCase: SkillTestCase,
  result: SkillRunResult,
  unused: readonly RecordedToolCall[],
): SkillCaseReport {
  const problems = [
    ...findProblems(testCase, result),
    ...unused.map(({ server, tool }) => `the recorded call of \`${server}/${tool}\` was not made`),
  ];
  const { durationMs } = result.usage;
  return { name: testCase.name, ok: problems.length === 0, problems, logs: result.logs, durationMs };
}

function findProblems({ output, error }: SkillTestCase, result: SkillRunResult): readonly string[] {
  if (result.status !== "completed") {
    const { code, message, stack = [] } = result.error;
    return error?.code === code ? [] : [`it failed with \`${code}\`: ${[message, ...stack].join("\n  ")}`];
  }
  if (error !== undefined) return [`it should fail with \`${error.code}\`, but succeeded`];
  const isEqual = output === undefined || toCanonicalJson(output) === toCanonicalJson(result.output);
  return isEqual ? [] : [`the output is ${JSON.stringify(result.output)}, not ${JSON.stringify(output)}`];
}
