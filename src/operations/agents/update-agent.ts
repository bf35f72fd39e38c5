import { z } from "zod";
import type { Agent, Assignment } from "../../domain/agent.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { clearable, ExpectedVersionField, RefField } from "../fields.ts";
import { resolveGroups } from "../groups.ts";
import { attachedPolicyFields, attachPolicies, policiesDisabledField, toNamed } from "../policies/attached-policies.ts";
import { refuseScopedChange, requireGuardian } from "../policies/scoped-change.ts";
import { requireVersion } from "../require-version.ts";
import { AccessDiff, diffAccess } from "./access-diff.ts";
import { agentFields, resolveAssignments, resolveSkills, type SkillInput } from "./agent-fields.ts";
import { issueAgentKey, revokeAgentKeys } from "./agent-key.ts";
import { AgentOutput, showAgent } from "./agent-output.ts";

const Input = z.object({
  id: RefField.describe("Agent, by id or name"),
  name: agentFields.name.optional(),
  description: agentFields.description.nullable().optional(),
  owner: agentFields.owner.nullable().optional(),
  status: agentFields.status.optional(),
  servers: clearable(agentFields.servers.describe("Replaces the whole assignment"), []),
  addServers: agentFields.servers.optional().describe("Adds servers, or changes the limits of assigned ones"),
  removeServers: z.array(RefField).max(500).optional().describe("Servers to take away"),
  skills: agentFields.skills.nullable().optional(),
  groups: clearable(agentFields.groups, []),
  policies: clearable(attachedPolicyFields.policies, []),
  addPolicies: attachedPolicyFields.addPolicies.optional(),
  removePolicies: attachedPolicyFields.removePolicies.optional(),
  rotateKey: z.boolean().optional().describe("Issue a new key; the old one stops at once"),
  expectedVersion: ExpectedVersionField,
});

type Input = z.output<typeof Input>;

/** What `security` may change without being an operator: cutting off, groups, and name and owner where a policy rests on them. */
const SECURITY_FIELDS: ReadonlySet<string> = new Set([
  "id",
  "name",
  "owner",
  "status",
  "groups",
  "policies",
  "addPolicies",
  "removePolicies",
  "rotateKey",
  "expectedVersion",
]);
const POLICY_FIELDS = ["policies", "addPolicies", "removePolicies"] as const;
const NOT_CHANGES: ReadonlySet<string> = new Set(["id", "expectedVersion"]);

/** Changes an agent; live sessions obey at their next message. */
export const updateAgent = defineOperation({
  name: "update_agent",
  title: "Update agent",
  description:
    "Changes an agent: name, owner, groups, status (`suspended` cuts it off), assigned servers, or its key (`rotateKey`). Live sessions obey at their next message. Returns the agent, what its access gained and lost, and a new key if one was asked for.",
  route: "PATCH /agents/{id}",
  command: "agents update",
  roles: ["owner", "admin", "security", "operator"],
  effect: "write",
  secrets: ["key"],
  action: "agent.update",
  input: Input,
  output: z.object({
    agent: AgentOutput,
    key: z.string().optional().describe("The new gateway key; shown only here"),
    accessDiff: AccessDiff,
    policiesDisabled: policiesDisabledField,
  }),
  async handle(input, context) {
    const { repositories } = context;
    const current = await repositories.agents.get(input.id);
    requireVersion(current, input.expectedVersion);
    if (context.caller.role === "security") refuseOperatorFields(input);
    for (const field of POLICY_FIELDS) if (input[field] !== undefined) requireGuardian(context.caller.role, field);
    const changed = await applyChange(current, input, context);
    await refuseScopedChange(current.id, { before: current, after: changed }, context);
    await repositories.agents.save(changed);
    const policies = await attachPolicies({ kind: "agent", id: changed.id, name: changed.name }, input, context);
    const key = input.rotateKey === true ? await rotateKey(changed, context) : undefined;
    return {
      agent: await showAgent(changed, context, policies.changed),
      ...(key === undefined ? {} : { key }),
      accessDiff: await diffAccess(current, changed, repositories),
      ...(policies.disabled.length === 0 ? {} : { policiesDisabled: policies.disabled.map(toNamed) }),
    };
  },
  event: ({ agent, accessDiff }, input) => ({
    resource: { type: "agent", id: agent.id, name: agent.name },
    details: {
      changed: Object.keys(input).filter((field) => !NOT_CHANGES.has(field)),
      status: agent.status,
      accessDiff,
      ...(input.rotateKey === true ? { keyId: agent.key?.id ?? null } : {}),
    },
  }),
  summarize: ({ agent, accessDiff }) =>
    `Agent \`${agent.name}\` (${agent.id}) is at version ${agent.version}, ${agent.status}; servers gained: ${accessDiff.gained.length}, lost: ${accessDiff.lost.length}, changed: ${accessDiff.changed.length}.`,
});

async function applyChange(current: Agent, input: Input, context: HandleContext): Promise<Agent> {
  const { repositories, now } = context;
  const owner = typeof input.owner === "string" ? (await repositories.members.get(input.owner)).id : input.owner;
  return {
    ...current,
    name: input.name ?? current.name,
    description: input.description === undefined ? current.description : input.description,
    owner: owner === undefined ? current.owner : owner,
    status: input.status ?? current.status,
    assignments: await changeAssignments(current.assignments, input, context),
    skills: await changeSkills(current.skills, input.skills, repositories),
    groups: input.groups === undefined ? current.groups : await resolveGroups(input.groups, context),
    version: current.version + 1,
    updatedAt: now,
  };
}

async function changeAssignments(
  current: readonly Assignment[],
  input: Input,
  { repositories }: HandleContext,
): Promise<readonly Assignment[]> {
  const base = input.servers === undefined ? current : await resolveAssignments(input.servers, repositories);
  const byServer = new Map(base.map((assignment) => [assignment.serverId, assignment]));
  for (const added of await resolveAssignments(input.addServers ?? [], repositories))
    byServer.set(added.serverId, added);
  for (const ref of input.removeServers ?? []) byServer.delete((await repositories.servers.get(ref)).id);
  return [...byServer.values()];
}

async function changeSkills(
  current: Agent["skills"],
  given: readonly SkillInput[] | null | undefined,
  repositories: HandleContext["repositories"],
): Promise<Agent["skills"]> {
  if (given === undefined || given === null) return given === null ? null : current;
  return resolveSkills(given, repositories);
}

async function rotateKey(agent: Agent, context: HandleContext): Promise<string> {
  await revokeAgentKeys(agent, "rotated", context);
  return issueAgentKey(agent, context);
}

function refuseOperatorFields(input: Input): void {
  const field = Object.entries(input).find(([name, value]) => value !== undefined && !SECURITY_FIELDS.has(name))?.[0];
  if (field === undefined) return;
  throw new AppError("forbidden", `\`${field}\` needs \`operator\`, \`admin\` or \`owner\``, { details: { field } });
}
