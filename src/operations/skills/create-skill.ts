import { z } from "zod";
import type { Skill, SkillVersion } from "../../domain/skill.ts";
import type { HandleContext } from "../context.ts";
import { createdBy } from "../created-by.ts";
import { defineOperation } from "../define-operation.ts";
import { judgeContent, prepareJudge, stateOf } from "./judge-version.ts";
import { toSkillContent } from "./skill-content.ts";
import { skillFields } from "./skill-fields.ts";
import { ScanOutput, showScan, showSkill, SkillOutput } from "./skill-output.ts";

const Input = z.object({
  name: skillFields.name,
  description: skillFields.description,
  instructions: skillFields.instructions.optional(),
  code: skillFields.code.optional(),
  inputSchema: skillFields.inputSchema.optional(),
  outputSchema: skillFields.outputSchema.optional(),
  servers: skillFields.servers.optional(),
  tools: skillFields.tools.optional(),
  files: skillFields.files.optional(),
  timeoutMs: skillFields.timeoutMs.optional(),
  license: skillFields.license.optional(),
  compatibility: skillFields.compatibility.optional(),
  metadata: skillFields.metadata.optional(),
  allowedTools: skillFields.allowedTools.optional(),
});

/** Registers a skill: instructions, files, a function, or all of them. */
export const createSkill = defineOperation({
  name: "create_skill",
  title: "Create skill",
  description:
    "Registers a skill that every agent can use in the same version: instructions and files (an Agent Skill), a function that runs in a sandbox and calls tools as the calling agent, or both. It is scanned first: a dangerous one is stored as `blocked`, one by an operator that brings code, servers or tools waits as `pending` for security. Returns the skill and the scan.",
  route: "POST /skills",
  command: "skills create",
  roles: ["owner", "admin", "operator"],
  effect: "write",
  isCreation: true,
  action: "skill.create",
  input: Input,
  output: z.object({ skill: SkillOutput, scan: ScanOutput }),
  async prepare(input) {
    await prepareJudge(input);
    return (context) => create(input, context);
  },
  event: ({ skill, scan }) => ({
    resource: { type: "skill", id: skill.id, name: skill.name },
    details: { version: 1, state: scan.state, risk: scan.risk, rules: rulesOf(scan), digest: skill.digest },
  }),
  summarize: ({ skill, scan }) =>
    `Skill \`${skill.name}\` (${skill.id}) is registered; version 1 is ${scan.state}, risk ${scan.risk}, ${scan.evidence.length} scan results.`,
});

const RULES_MAX = 20;

/** Which rules a scan matched, for the log: our own words, the worst first. */
export function rulesOf({ evidence }: z.output<typeof ScanOutput>): string[] {
  return [...new Set(evidence.map(({ rule }) => rule))].slice(0, RULES_MAX);
}

async function create(input: z.output<typeof Input>, context: HandleContext) {
  const { repositories } = context;
  const version = await toFirstVersion(input, context);
  const skill = toSkill(input.name, version, context);
  await repositories.skills.insert(skill);
  await repositories.skills.insertVersion(version);
  return { skill: await showSkill(skill, context, { version: 1 }), scan: showScan(version) };
}

async function toFirstVersion(input: z.output<typeof Input>, context: HandleContext): Promise<SkillVersion> {
  const { repositories, services, caller, now } = context;
  const judged = await judgeContent(input.name, await toSkillContent(input, repositories));
  const { settings } = await repositories.organization.get();
  return {
    skillId: services.newId(),
    version: 1,
    digest: judged.digest,
    state: stateOf(judged, { settings, role: caller.role, serving: undefined }),
    risk: judged.scan.risk,
    evidence: judged.scan.evidence,
    content: judged.content,
    createdBy: createdBy(caller),
    approvedBy: null,
    createdAt: now,
  };
}

function toSkill(name: string, version: SkillVersion, { now }: HandleContext): Skill {
  return {
    id: version.skillId,
    name,
    description: version.content.description,
    risk: version.risk,
    latestVersion: 1,
    servingVersion: version.state === "approved" ? 1 : null,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
}
