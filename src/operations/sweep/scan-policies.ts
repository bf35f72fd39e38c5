import type { Policy, ResourceFields } from "../../domain/policy.ts";
import type { Server } from "../../domain/server.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { PolicyCounts, PolicyViolations } from "../../store/policy-ports.ts";
import type { Repositories } from "../../store/ports.ts";
import { REGISTRY_PLACE } from "./place.ts";
import type { PlacedObservation } from "./sightings.ts";

/** What is recorded of policies, as a scan judges it. */
export interface PolicyRecords {
  readonly policies: readonly Policy[];
  readonly counts: ReadonlyMap<string, PolicyCounts>;
  /** What each agent tried lately that a policy forbids, by agent. */
  readonly violations: ReadonlyMap<string, readonly PolicyViolations[]>;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const WITHOUT_EFFECT_DAYS = 30;
const VIOLATING_DAYS = 7;
const PAGE_ROWS = 200;

export async function listAllPolicies(repositories: Repositories): Promise<readonly Policy[]> {
  const policies: Policy[] = [];
  for (let after: string | undefined; ;) {
    const page = await repositories.policies.list({}, { limit: PAGE_ROWS, after });
    policies.push(...page.items);
    if (page.next === undefined) return policies;
    after = page.next;
  }
}

export async function readPolicyRecords(repositories: Repositories, now: number): Promise<PolicyRecords> {
  const policies = await listAllPolicies(repositories);
  const violations = new Map<string, readonly PolicyViolations[]>();
  for (let after: string | undefined; ;) {
    const page = await repositories.agents.list({}, { limit: PAGE_ROWS, after });
    const ids = page.items.map(({ id }) => id);
    const found = await repositories.policies.violationsOf(ids, now - VIOLATING_DAYS * DAY_MS);
    for (const [agentId, list] of found) violations.set(agentId, list);
    if (page.next === undefined) break;
    after = page.next;
  }
  const ids = policies.map(({ id }) => id);
  return { policies, violations, counts: await repositories.policies.counts(ids, now) };
}

/** Policies without effect, agents that violate one, and servers that none covers. */
export function judgePolicies(records: PolicyRecords, snapshot: Snapshot, now: number): PlacedObservation[] {
  return [
    ...withoutEffect(records, now),
    ...violatingAgents(records, snapshot),
    ...uncoveredServers(records.policies, snapshot, now),
  ];
}

function withoutEffect({ policies, counts }: PolicyRecords, now: number): PlacedObservation[] {
  return policies.flatMap((policy) => {
    const fault = faultOf(policy, counts.get(policy.id), now);
    if (policy.mode === "disabled" || fault === undefined) return [];
    return [
      observe({
        code: "POLICY-WITHOUT-EFFECT",
        kind: "drift",
        severity: "low",
        title: "policy without effect",
        identity: `policy:${policy.id}`,
        evidence: `policy \`${policy.name}\` ${fault}`,
        remediation: "correct its scope with update_policy, or delete it",
      }),
    ];
  });
}

function faultOf(policy: Policy, counts: PolicyCounts | undefined, now: number): string | undefined {
  if (isExpired(policy, now)) return "expired";
  const since = Math.max(counts?.lastMatchedAt ?? 0, policy.updatedAt);
  return now - since > WITHOUT_EFFECT_DAYS * DAY_MS ? `matched nothing for ${WITHOUT_EFFECT_DAYS} days` : undefined;
}

function violatingAgents({ violations, policies }: PolicyRecords, { agentById }: Snapshot): PlacedObservation[] {
  const names = new Map(policies.map(({ id, name }) => [id, name]));
  return [...violations].flatMap(([agentId, list]) => {
    const agent = agentById.get(agentId)?.agent;
    if (agent === undefined || list.length === 0) return [];
    const violated = list.map(({ policyId }) => `\`${names.get(policyId) ?? policyId}\``).slice(0, 10);
    return [
      observe({
        code: "AGENT-VIOLATING",
        kind: "policy_violation",
        severity: "medium",
        title: "agent that tries what a policy forbids",
        identity: `agent:${agentId}`,
        evidence: `agent \`${agent.name}\` ran against ${violated.join(", ")} in the last ${VIOLATING_DAYS} days`,
        remediation: "look at get_audit_logs for this agent; suspend it if nobody can explain it",
      }),
    ];
  });
}

/** By servers and groups that policies name; what is written in Cedar itself may be about any server. */
function uncoveredServers(policies: readonly Policy[], { serverById }: Snapshot, now: number): PlacedObservation[] {
  const enforced = policies.filter((policy) => policy.mode === "enforce" && !isExpired(policy, now));
  const scopes = enforced.map(({ rule }) => rule?.resources ?? { everything: true });
  const active = [...serverById.values()].filter(({ server }) => server.status === "active");
  return active
    .filter(({ server }) => !scopes.some((scope) => covers(scope, server)))
    .map(({ server }) =>
      observe({
        code: "SERVER-WITHOUT-POLICY",
        kind: "policy_violation",
        severity: "low",
        title: "server that no policy covers",
        identity: `server:${server.id}`,
        serverId: server.id,
        evidence: `every agent that is assigned to \`${server.name}\` may do everything there`,
        remediation: "write a policy for it with create_policy, at least for its destructive tools",
      }),
    );
}

function covers({ everything, servers, groups, tools }: ResourceFields, { id, groups: own }: Server): boolean {
  if (everything === true || servers?.includes(id) === true) return true;
  if (groups?.some((group) => own.includes(group)) === true) return true;
  if (servers !== undefined || groups !== undefined) return false;
  return tools?.some((tool) => !tool.includes("/") || tool.startsWith(`${id}/`)) === true;
}

function isExpired({ expiresAt }: Policy, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}

function observe(judgement: Omit<PlacedObservation, "place" | "fix" | "confidence" | "instance">): PlacedObservation {
  return { place: REGISTRY_PLACE, fix: { kind: "review" }, confidence: 1, instance: {}, ...judgement };
}
