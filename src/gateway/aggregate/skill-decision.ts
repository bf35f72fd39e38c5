import type { SkillVersion } from "../../domain/skill.ts";
import { couldAllow, decide } from "../../policy/decide.ts";
import { localTimeIn } from "../../policy/local-time-in.ts";
import { toSubject } from "../../policy/policy-entities.ts";
import { createPolicyRequest, createTarget, type PolicyRequest } from "../../policy/request.ts";
import type { AgentView, SkillView, Snapshot } from "../../snapshot/snapshot.ts";
import type { DecidingPolicy } from "../decide.ts";

/** Who asks for a skill, as of one snapshot. */
export interface SkillAsker {
  readonly snapshot: Snapshot;
  readonly agent: AgentView;
  readonly ip: string | undefined;
  readonly client: string | undefined;
}

export interface SkillDecision {
  readonly effect: "allow" | "deny" | "held";
  readonly reason: string;
  readonly policies: readonly DecidingPolicy[];
}

/** A skill with its version that serves. */
export interface ServingSkill extends SkillView {
  readonly serving: SkillVersion;
}

/** The decision table of the contract's section 5 for a run: the agent's assignment first, then the policies. */
export function decideSkill(
  asker: SkillAsker,
  view: SkillView,
  { args, nowMs }: { readonly args: unknown; readonly nowMs: number },
): SkillDecision {
  if (!isSkillAssigned(asker, view)) return { effect: "deny", reason: "not_assigned", policies: [] };
  const { policies: index, organization } = asker.snapshot;
  const found = decide(index, toRequest(asker, view, { args, nowMs }), organization.settings);
  return { effect: found.decision, reason: found.reason, policies: found.policies };
}

/** The skills that the agent could run or read, in the order in which they were made. */
export function visibleSkills(asker: SkillAsker, nowMs: number): readonly ServingSkill[] {
  const { policies: index, organization } = asker.snapshot;
  return [...asker.snapshot.skillById.values()]
    .filter(isServing)
    .filter((view) => isSkillAssigned(asker, view))
    .filter((view) => couldAllow(index, toRequest(asker, view, { args: undefined, nowMs }), organization.settings))
    .toSorted((left, right) => (left.skill.id < right.skill.id ? -1 : 1));
}

function isServing(view: SkillView): view is ServingSkill {
  return view.serving !== undefined;
}

/** Without servers it is everybody's; else it is for whom all its servers are. An agent's own list narrows that. */
function isSkillAssigned({ snapshot, agent }: SkillAsker, { skill, serving }: SkillView): boolean {
  const { skills } = agent.agent;
  if (serving === undefined || skills?.includes(skill.id) === false) return false;
  return serving.content.servers.every(
    ({ id }) => agent.assignmentByServerId.has(id) && snapshot.serverById.get(id)?.server.status === "active",
  );
}

function toRequest(
  { snapshot, agent, ip, client }: SkillAsker,
  { skill }: SkillView,
  { args, nowMs }: { readonly args: unknown; readonly nowMs: number },
): PolicyRequest {
  const { owner } = agent.agent;
  const subject = toSubject(agent.agent, owner === null ? undefined : snapshot.memberById.get(owner));
  const { minuteOfDay, weekday } = localTimeIn(snapshot.organization.settings.timeZone, nowMs);
  const target = createTarget({ kind: "skill", id: skill.id, name: skill.name });
  return createPolicyRequest({ subject, target }, "run_skill", { args, ip, client, nowMs, minuteOfDay, weekday });
}
