import { z } from "zod";
import { isGuardian } from "../../domain/role.ts";
import type { Skill, SkillVersion } from "../../domain/skill.ts";
import { AppError } from "../../lib/errors.ts";
import { isFiniteDeep } from "../../lib/json-values.ts";
import type { PrepareContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";

const Input = z.object({
  id: RefField.describe("Skill, by id or name"),
  input: z
    .record(z.string(), z.unknown())
    .refine(isFiniteDeep, "holds a number that is too large for a double; send it as text")
    .optional()
    .describe("Input of the function"),
  agent: RefField.optional().describe("Agent to run as: its assignment, policies and audit hold for every call"),
  version: z.int().min(1).optional().describe("Try this version instead of the one that the agent gets"),
});

const RunOutput = z.object({
  status: z
    .enum(["completed", "failed", "held"])
    .describe("`held`: the run or a call of it waits for an approval; run it again after"),
  version: z.int(),
  output: z.unknown().optional(),
  error: z
    .object({ code: z.string(), message: z.string(), details: z.record(z.string(), z.unknown()).optional() })
    .optional(),
  stack: z.array(z.string()).optional().describe("Lines of the skill's own code"),
  approvalId: z.string().optional(),
  logs: z.array(z.string()).describe("What the skill wrote"),
  durationMs: z.number(),
  cpuMs: z.number(),
  calls: z.int().describe("Calls of tools that were sent"),
  correlationId: z.string().describe("Finds the run and its calls in the audit log"),
});

/** An administrator's trial run. */
export const runSkill = defineOperation({
  name: "run_skill",
  title: "Run skill",
  description:
    "Runs a skill's function now, as an agent or as nobody, and returns its output, logs and what it used. As an agent it is decided as the agent's own run: its assignment and its policies can refuse it or hold it for an approval, which whoever asked for the run may not give. Its calls are real, pass the same policies and are recorded under one correlation id. A dry run is decided too and executes the function, but sends no calls and asks for no approval. Use it to try a version before agents get it.",
  route: "POST /skills/{id}/runs",
  command: "skills run",
  roles: ["owner", "admin", "security", "operator"],
  effect: "write",
  // The run records itself, with its outcome, before it is answered.
  action: "skill.run",
  input: Input,
  output: z.object({ run: RunOutput }),
  async prepare(input, context) {
    const { services, caller, signal, isDryRun, correlationId } = context;
    const { skill, version, agentId } = await findRun(input, context);
    const result = await services.runSkill({
      skill,
      version,
      input: input.input ?? {},
      agentId,
      actor: caller.actor,
      correlationId,
      signal,
      isDryRun,
    });
    const run = { ...toOutput(result), version: version.version };
    return () => Promise.resolve({ run });
  },
  summarize: ({ run }) =>
    `Version ${run.version} ran: ${run.status}, ${run.calls} calls, ${Math.round(run.durationMs)} ms; correlation id ${run.correlationId}.`,
});

async function findRun(input: z.output<typeof Input>, { read, caller }: PrepareContext) {
  return read(async ({ skills, agents }) => {
    const skill = await skills.get(input.id);
    const agent = input.agent === undefined ? undefined : await agents.get(input.agent);
    const pin = agent?.skills?.find(({ id }) => id === skill.id)?.version ?? undefined;
    const number = input.version ?? pin ?? skill.servingVersion;
    if (number === null) {
      throw new AppError("conflict", "no version of this skill serves; name the one to try in `version`", {
        details: { field: "version" },
      });
    }
    const version = await skills.getVersion(skill.id, number);
    refuseVersion(skill, version, isGuardian(caller.role));
    return { skill, version, agentId: agent?.id };
  });
}

/** What waits for `security` is tried by `security` only; what is blocked runs for nobody. */
function refuseVersion(skill: Skill, { version, state, content }: SkillVersion, isTrusted: boolean): void {
  if (content.function === undefined)
    throw new AppError("invalid_input", `version ${version} of skill \`${skill.name}\` has no function to run`);
  if (state === "blocked" || (state === "pending" && !isTrusted))
    throw new AppError("conflict", `version ${version} of skill \`${skill.name}\` is ${state} and does not run`);
}

type Result = Awaited<ReturnType<PrepareContext["services"]["runSkill"]>>;

function toOutput(result: Result) {
  const { usage, logs } = result;
  const facts = { status: result.status, logs: [...logs], ...usage, correlationId: result.correlationId };
  if (result.status === "completed") return { ...facts, output: result.output };
  const { code, message, details, stack } = result.error;
  return {
    ...facts,
    error: { code, message, ...(details === undefined ? {} : { details: { ...details } }) },
    ...(stack === undefined ? {} : { stack: [...stack] }),
    ...(result.status === "held" && result.approvalId !== undefined ? { approvalId: result.approvalId } : {}),
  };
}
