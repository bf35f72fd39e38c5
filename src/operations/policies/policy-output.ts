import { z } from "zod";
import { AUDIT_PAYLOADS } from "../../domain/organization.ts";
import {
  POLICY_ACTIONS,
  POLICY_EFFECTS,
  POLICY_MODES,
  type Policy,
  type PrincipalFields,
  type ResourceFields,
} from "../../domain/policy.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { actionsOf } from "../../policy/rule.ts";
import type { PolicyCounts, Repositories } from "../../store/ports.ts";
import { asWritten } from "../as-written.ts";
import { groupNames } from "../groups.ts";

const Names = z.array(z.string()).optional();

const Principals = z.object({
  everyone: z.boolean().optional(),
  agents: Names,
  agentTypes: Names,
  groups: Names,
  members: Names,
  roles: Names,
});

const Resources = z.object({
  everything: z.boolean().optional(),
  servers: Names,
  groups: Names,
  tools: asWritten(z.array(z.string())).optional(),
  skills: Names,
});

export const PolicyOutput = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  effect: z.enum(POLICY_EFFECTS),
  mode: z.enum(POLICY_MODES).describe("Whether it is enforced"),
  principals: Principals.extend({ except: Principals.optional() }),
  resources: Resources.extend({ except: Resources.optional() }),
  actions: z.array(z.enum(POLICY_ACTIONS)),
  conditions: asWritten(z.array(z.object({ field: z.string(), operator: z.string(), value: z.unknown().optional() }))),
  cedar: asWritten(
    z
      .string()
      .describe(
        "The same as Cedar text, with ids for names; of a policy that was written so, all other parts are empty",
      ),
  ),
  audit: z.enum(AUDIT_PAYLOADS).optional(),
  violations: z.object({
    total: z.int(),
    last24h: z.int(),
    last7d: z.int(),
    byResource: z.array(z.object({ id: z.string(), name: z.string(), violations: z.int() })),
  }),
  matches: z.object({ total: z.int() }),
  lastMatchedAt: z.string().nullable(),
  expiresAt: z.string().optional(),
  version: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

const NO_COUNTS: PolicyCounts = {
  matches: 0,
  violations: 0,
  violationsLast24h: 0,
  violationsLast7d: 0,
  lastMatchedAt: null,
  byResource: [],
};

/** The parts of a rule, as a policy in Cedar text shows them. */
export const NO_PARTS = { principals: {}, resources: {}, actions: [], conditions: [] };

/** Shows policies with names instead of ids, reading what they refer to. An id of what is gone stays an id. */
export async function showPolicies(
  policies: readonly Policy[],
  { repositories, now }: { readonly repositories: Repositories; readonly now: number },
): Promise<z.input<typeof PolicyOutput>[]> {
  const ids = policies.map(({ id }) => id);
  const counts = await repositories.policies.counts(ids, now);
  const names = await namesOf(
    policies.flatMap(({ mentions }) => mentions),
    repositories,
  );
  return policies.map((policy) => show(policy, counts.get(policy.id) ?? NO_COUNTS, names));
}

export async function showPolicy(
  policy: Policy,
  context: { readonly repositories: Repositories; readonly now: number },
): Promise<z.input<typeof PolicyOutput>> {
  const [shown] = await showPolicies([policy], context);
  if (shown === undefined) throw new Error("invariant violated: one policy is shown as one");
  return shown;
}

type NameOf = (id: string) => string;

/** Names of agents, servers, skills, groups and members (their email) by id; an id of what is gone stays an id. */
export async function namesOf(ids: readonly string[], repositories: Repositories): Promise<NameOf> {
  const { agents, servers, members, skills } = repositories;
  const distinct = [...new Set(ids)].filter((id) => !id.includes(":"));
  const names = new Map(await groupNames(repositories, distinct));
  for (const id of distinct) {
    if (names.has(id)) continue;
    const named = (await servers.find(id)) ?? (await agents.find(id)) ?? (await skills.find(id));
    const name = named?.name ?? (await members.find(id))?.email;
    if (name !== undefined) names.set(id, name);
  }
  return (id) => names.get(id) ?? id;
}

function show(policy: Policy, counts: PolicyCounts, nameOf: NameOf): z.input<typeof PolicyOutput> {
  const { id, name, description, effect, mode, cedar, audit, expiresAt, version } = policy;
  return {
    id,
    name,
    description,
    effect,
    mode,
    ...showRule(policy, nameOf),
    cedar,
    ...(audit === null ? {} : { audit }),
    violations: {
      total: counts.violations,
      last24h: counts.violationsLast24h,
      last7d: counts.violationsLast7d,
      byResource: counts.byResource.map((resource) => ({ ...resource })),
    },
    matches: { total: counts.matches },
    lastMatchedAt: counts.lastMatchedAt === null ? null : toRfc3339(counts.lastMatchedAt),
    ...(expiresAt === null ? {} : { expiresAt: toRfc3339(expiresAt) }),
    version,
    createdAt: toRfc3339(policy.createdAt),
    updatedAt: toRfc3339(policy.updatedAt),
  };
}

function showRule({ rule, effect }: Policy, nameOf: NameOf) {
  if (rule === null) return NO_PARTS;
  const { principals, resources, actions, conditions = [] } = rule;
  return {
    principals: {
      ...showPrincipals(principals, nameOf),
      ...(principals.except === undefined ? {} : { except: showPrincipals(principals.except, nameOf) }),
    },
    resources: {
      ...showResources(resources, nameOf),
      ...(resources.except === undefined ? {} : { except: showResources(resources.except, nameOf) }),
    },
    actions: [...actionsOf({ effect, actions })],
    conditions: conditions.map((condition) => ({ ...condition })),
  };
}

function showPrincipals(fields: PrincipalFields, nameOf: NameOf): z.input<typeof Principals> {
  const { everyone, agents, agentTypes, groups, members, roles } = fields;
  return {
    ...(everyone === undefined ? {} : { everyone }),
    ...(agents === undefined ? {} : { agents: agents.map(nameOf) }),
    ...(agentTypes === undefined ? {} : { agentTypes: [...agentTypes] }),
    ...(groups === undefined ? {} : { groups: groups.map(nameOf) }),
    ...(members === undefined ? {} : { members: members.map(nameOf) }),
    ...(roles === undefined ? {} : { roles: [...roles] }),
  };
}

function showResources(fields: ResourceFields, nameOf: NameOf): z.input<typeof Resources> {
  const { everything, servers, groups, tools, skills } = fields;
  return {
    ...(everything === undefined ? {} : { everything }),
    ...(servers === undefined ? {} : { servers: servers.map(nameOf) }),
    ...(groups === undefined ? {} : { groups: groups.map(nameOf) }),
    ...(tools === undefined ? {} : { tools: tools.map((tool) => showTool(tool, nameOf)) }),
    ...(skills === undefined ? {} : { skills: skills.map(nameOf) }),
  };
}

function showTool(tool: string, nameOf: NameOf): string {
  const slash = tool.indexOf("/");
  return slash < 0 || tool.startsWith("trait:") ? tool : nameOf(tool.slice(0, slash)) + tool.slice(slash);
}
