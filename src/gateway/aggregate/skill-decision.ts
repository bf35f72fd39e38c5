import type { SkillVersion } from "../../domain/skill.ts";
import { couldAllow, decide as decidePolicies } from "../../policy/decide.ts";
import { localTimeIn } from "../../policy/local-time-in.ts";
import { toSubject } from "../../policy/policy-entities.ts";
import { createPolicyRequest, createTarget, type PolicyRequest } from "../../policy/request.ts";
import type { AgentView, SkillView, Snapshot } from "../../snapshot/snapshot.ts";
import { type Decision, NOT_ASSIGNED } from "../decide.ts";
import { othersOf } from "../policy-decision.ts";

/** Who asks for a skill, as of one snapshot. */
export interface SkillAsker {
  readonly snapshot: Snapshot;
  readonly agent: AgentView;
  readonly ip: string | undefined;
  readonly client: string | undefined;
}

/** A skill with the version of it that is asked for. */
export interface ServingSkill extends SkillView {
  readonly serving: SkillVersion;
}

/** The version that this agent gets: the one that it is pinned to, else the one that serves. Undefined where there is none. */
export function findServing(
  { agent }: Pick<SkillAsker, "agent">,
  { skill, serving }: SkillView,
): ServingSkill | undefined {
  const isPinned = agent.agent.skills?.some(({ id, version }) => id === skill.id && version !== null) === true;
  // A pin that is not there is no reason to give the agent another version.
  const version = isPinned ? agent.pinBySkillId.get(skill.id) : serving;
  return version === undefined ? undefined : { skill, serving: version };
}

/** The decision table of the contract's section 5 for a run: the agent's assignment first, then the policies. */
export function decideSkill(
  asker: SkillAsker,
  view: ServingSkill,
  { args, nowMs }: { readonly args: unknown; readonly nowMs: number },
): Decision {
  if (!isSkillAssigned(asker, view)) return NOT_ASSIGNED;
  const { policies: index, organization } = asker.snapshot;
  const found = decidePolicies(index, toRequest(asker, view, { args, nowMs }), organization.settings);
  const noted = { policies: found.policies, audit: found.audit, alsoMatched: othersOf(found) };
  if (found.decision === "allow") return { effect: "allow", ...noted };
  return { effect: found.decision === "held" ? "held" : "deny", reason: found.reason, ...noted };
}

/** The skills that the agent could run or read, in the order in which they were made. */
export function visibleSkills(asker: SkillAsker, nowMs: number): readonly ServingSkill[] {
  const { policies: index, organization } = asker.snapshot;
  return [...asker.snapshot.skillById.values()]
    .flatMap((view) => findServing(asker, view) ?? [])
    .filter((view) => isSkillAssigned(asker, view))
    .filter((view) => couldAllow(index, toRequest(asker, view, { args: undefined, nowMs }), organization.settings))
    .toSorted((left, right) => (left.skill.id < right.skill.id ? -1 : 1));
}

/** Without servers it is everybody's; else it is for whom all its servers are. An agent's own list narrows that. */
function isSkillAssigned({ snapshot, agent }: SkillAsker, { skill, serving }: ServingSkill): boolean {
  const { skills } = agent.agent;
  if (skills !== null && !skills.some(({ id }) => id === skill.id)) return false;
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
  return createPolicyRequest({ subject, target }, "run_skill", {
    args: () => args,
    ip,
    client,
    nowMs,
    minuteOfDay,
    weekday,
  });
}
