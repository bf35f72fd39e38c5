import { z } from "zod";
import { AGENT_STATUSES, type AgentSkill, type Assignment } from "../../domain/agent.ts";
import type { Skill, SkillVersion } from "../../domain/skill.ts";
import { AppError } from "../../lib/errors.ts";
import type { Repositories } from "../../store/ports.ts";
import { NameField, RefField, text } from "../fields.ts";

const Glob = z.string().min(1).max(512).describe("Name or URI; `*` stands for any characters");
const Globs = z.array(Glob).max(500);

const AssignmentField = z.union([
  RefField,
  z.strictObject({
    server: RefField,
    tools: Globs.optional().describe("Tools it may use; with one list given, an omitted one means none"),
    resources: Globs.optional().describe("Resources it may read, by URI"),
    prompts: Globs.optional().describe("Prompts it may get"),
  }),
]);

const SkillField = z.union([
  RefField,
  z.strictObject({
    skill: RefField,
    version: z.int().min(1).describe("Approved version that it gets, whatever serves the others"),
  }),
]);

/** Fields that an agent is created and changed with. */
export const agentFields = {
  name: NameField.describe("Unique name"),
  type: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 of `a-z`, `0-9` and `-`")
    .describe(
      "`claude-desktop`, `claude-code`, `cursor`, `vscode-copilot`, `windsurf`, `codex`, `gemini-cli`, `openclaw`, or your own word",
    ),
  description: text(2000).describe("What it is for"),
  owner: RefField.describe("Member who answers for it, by id or email"),
  status: z.enum(AGENT_STATUSES).describe("A suspended agent is refused at its next message"),
  servers: z
    .array(AssignmentField)
    .max(500)
    .describe("Servers it may reach, each whole or limited to tools, resources and prompts"),
  skills: z
    .array(SkillField)
    .max(500)
    .describe(
      "The only skills it may use, each as it serves or pinned to a version; unset leaves it all that its servers allow",
    ),
  groups: z.array(RefField).max(100).describe("Groups it belongs to; a new name makes a group"),
};

export type AssignmentInput = z.output<typeof AssignmentField>;

/** The assignments that an input means, one per server; a server named twice takes its last mention. */
export async function resolveAssignments(
  inputs: readonly AssignmentInput[],
  repositories: Repositories,
): Promise<readonly Assignment[]> {
  const byServer = new Map<string, Assignment>();
  for (const input of inputs) {
    const entry = typeof input === "string" ? { server: input } : input;
    const { id } = await repositories.servers.get(entry.server);
    byServer.set(id, toAssignment(id, entry));
  }
  return [...byServer.values()];
}

export type SkillInput = z.output<typeof SkillField>;

/** The skills that an input means, which must exist; a skill named twice takes its last mention. Only approved versions can be pinned. */
export async function resolveSkills(
  inputs: readonly SkillInput[],
  { skills }: Repositories,
): Promise<readonly AgentSkill[]> {
  const byId = new Map<string, AgentSkill>();
  for (const input of inputs) {
    const { skill: ref, version } = typeof input === "string" ? { skill: input, version: null } : input;
    const skill = await skills.get(ref);
    if (version !== null) requireApproved(skill, await skills.getVersion(skill.id, version));
    byId.set(skill.id, { id: skill.id, version });
  }
  return [...byId.values()];
}

function requireApproved({ name }: Skill, { version, state }: SkillVersion): void {
  if (state === "approved") return;
  throw new AppError(
    "conflict",
    `version ${version} of skill \`${name}\` is ${state} and cannot serve; pin an approved one`,
    {
      details: { field: "skills", state },
    },
  );
}

function toAssignment(serverId: string, entry: Exclude<AssignmentInput, string>): Assignment {
  const { tools, resources, prompts } = entry;
  const isLimited = tools !== undefined || resources !== undefined || prompts !== undefined;
  const omitted = isLimited ? [] : null;
  return { serverId, tools: tools ?? omitted, resources: resources ?? omitted, prompts: prompts ?? omitted };
}
