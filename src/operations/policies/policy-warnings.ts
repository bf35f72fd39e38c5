import { z } from "zod";
import type { Policy } from "../../domain/policy.ts";
import { type LintFacts, lintRule, pointlessAllow } from "../../policy/lint-rule.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { Repositories } from "../../store/ports.ts";
import { namesOf } from "./policy-output.ts";

export const WarningsOutput = z
  .array(z.object({ code: z.string(), message: z.string() }))
  .describe("What is allowed but probably not meant");

type Warnings = z.output<typeof WarningsOutput>;

/** A rule is compared with at most so many others. */
const RULES_COMPARED_MAX = 200;

interface WarningFacts {
  readonly repositories: Repositories;
  readonly snapshot: Snapshot;
  readonly now: number;
  /** By Cedar's validator. */
  readonly found: readonly string[];
}

/** What is odd about a policy: what Cedar's validator found, and what our own lint finds against the fleet of now. */
export async function warningsOf(
  policy: Policy,
  { repositories, snapshot, now, found }: WarningFacts,
): Promise<Warnings> {
  const ofPolicy = [...found.map((message) => ({ code: "cedar", message })), ...expired(policy, now)];
  const { assignmentGrantsAccess } = snapshot.organization.settings;
  if (policy.rule === null) return [...ofPolicy, ...pointlessAllow(policy.effect, assignmentGrantsAccess)];
  const facts = { ...factsOf(snapshot), otherRules: await otherRules(policy.id, repositories) };
  const ofRule = lintRule({ effect: policy.effect, ...policy.rule }, facts);
  const nameOf = await namesOf(
    ofRule.flatMap(({ message }) => message.match(UUID) ?? []),
    repositories,
  );
  return [...ofPolicy, ...ofRule.map(({ code, message }) => ({ code, message: message.replaceAll(UUID, nameOf) }))];
}

function expired({ expiresAt }: Policy, now: number): Warnings {
  if (expiresAt === null || expiresAt > now) return [];
  const message = "it has expired, so it applies to nothing; give a later `expiresAt`, or `null` for none";
  return [{ code: "expired", message }];
}

function factsOf({ agentById, memberById, serverById, organization }: Snapshot): Omit<LintFacts, "otherRules"> {
  const principals = [...[...agentById.values()].map(({ agent }) => agent.groups), ...groupsOf(memberById)];
  const servers = [...serverById.values()];
  return {
    tools: servers.flatMap(({ server, toolByName }) =>
      [...toolByName.keys()].map((name) => ({ serverId: server.id, name })),
    ),
    principalsPerGroup: count(principals.flat()),
    serversPerGroup: count(servers.flatMap(({ server }) => server.groups)),
    assignmentGrantsAccess: organization.settings.assignmentGrantsAccess,
  };
}

function groupsOf(members: Snapshot["memberById"]): (readonly string[])[] {
  return [...members.values()].map(({ groups }) => groups);
}

function count(ids: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

async function otherRules(id: string, { policies }: Repositories): Promise<LintFacts["otherRules"]> {
  const { items } = await policies.list({ mode: "enforce" }, { limit: RULES_COMPARED_MAX });
  return items.flatMap((policy) => {
    const { name, effect, rule } = policy;
    return policy.id === id || rule === null ? [] : [{ name, rule: { effect, ...rule } }];
  });
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
