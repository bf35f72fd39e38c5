import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Agent, AgentSkill, Assignment } from "../../domain/agent.ts";
import type { Policy, StructuredRule } from "../../domain/policy.ts";
import type { Server } from "../../domain/server.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { actionsOf } from "../../policy/rule.ts";
import type { Repositories } from "../../store/ports.ts";
import { agentFields, resolveAssignments } from "../agents/agent-fields.ts";
import type { HandleContext } from "../context.ts";
import { buildRule, readingResolver } from "../policies/build-rule.ts";
import { policyFields, ruleInput } from "../policies/policy-fields.ts";
import { NO_PARTS, showPolicy } from "../policies/policy-output.ts";
import { openEndpoint } from "../servers/server-endpoint.ts";
import type { Entry } from "./configuration-input.ts";

export type PlanContext = Pick<HandleContext, "repositories" | "services" | "now" | "caller">;

/** One field that an entry would change. Secrets are never shown, only that they differ. */
export interface FieldDiff {
  readonly field: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

const SECRET_FIELDS: ReadonlySet<string> = new Set(["credential", "headers", "env", "args"]);
const RULE_FIELDS: ReadonlySet<string> = new Set(Object.keys(ruleInput));

type Fields = Readonly<Record<string, unknown>>;

/** What an entry changes of a server; a field that the entry does not name stays as it is. */
export async function diffServer(entry: Entry, server: Server, context: PlanContext): Promise<readonly FieldDiff[]> {
  const { repositories, services } = context;
  const { credential, headers, env, args, url, command, cwd } = openEndpoint(server, services.vault);
  const { description, transport, status, allowPrivateNetwork, shareable, owner, groups } = server;
  const current = { description, transport, status, allowPrivateNetwork, shareable, credential, headers, env, args };
  const links = { owner, groups: groups.toSorted(byText) };
  return diff(
    { ...(await withIds(entry, repositories)), ...normalizedUrl(entry) },
    { ...current, ...links, url, command, cwd },
  );
}

export async function diffAgent(
  entry: Entry,
  agent: Agent,
  { repositories }: PlanContext,
): Promise<readonly FieldDiff[]> {
  const { type, description, status, owner, groups, assignments, skills } = agent;
  const servers = agentFields.servers.safeParse(entry["servers"]);
  const named = agentFields.skills.safeParse(entry["skills"]);
  const wanted = {
    ...(await withIds(entry, repositories)),
    ...(servers.success ? { servers: await assignmentsOf(servers.data, repositories) } : {}),
    ...(named.success ? { skills: await skillsOf(named.data, repositories) } : {}),
  };
  const links = { owner, groups: groups.toSorted(byText), skills: skills === null ? null : sortedSkills(skills) };
  return diff(wanted, { type, description, status, ...links, servers: sorted(assignments) });
}

/** The entry's skills by id, as far as they exist. */
async function skillsOf(inputs: z.output<typeof agentFields.skills>, { skills }: Repositories) {
  const byId = new Map<string, AgentSkill>();
  for (const input of inputs) {
    const { skill: ref, version } = typeof input === "string" ? { skill: input, version: null } : input;
    const id = (await skills.find(ref))?.id ?? ref;
    byId.set(id, { id, version });
  }
  return sortedSkills([...byId.values()]);
}

/** As the entry may write them: a skill that is not pinned is its id alone. */
function sortedSkills(skills: readonly AgentSkill[]) {
  return skills
    .toSorted((left, right) => byText(left.id, right.id))
    .map(({ id, version }) => (version === null ? id : { skill: id, version }));
}

export async function diffPolicy(entry: Entry, policy: Policy, context: PlanContext): Promise<readonly FieldDiff[]> {
  const { description, mode, audit, expiresAt } = policy;
  const rest = Object.fromEntries(Object.entries(entry).filter(([field]) => !RULE_FIELDS.has(field)));
  const expiry = policyFields.expiresAt.safeParse(entry["expiresAt"]);
  const wanted = expiry.success ? { ...rest, expiresAt: expiry.data } : rest;
  const plain = diff(wanted, { description, mode, audit, expiresAt });
  const shownPlain = plain.map((one) =>
    one.field === "expiresAt" ? { ...one, before: showTime(expiresAt), after: entry["expiresAt"] } : one,
  );
  if (await isSameRule(entry, policy, context)) return shownPlain;
  const shown: Fields = await showPolicy(policy, context);
  const wantedRule = toShownRule(entry);
  const parts = [...RULE_FIELDS].filter((field) => field !== "cedar" || policy.rule === null || "cedar" in entry);
  const rule = parts
    .filter((field) => !isDeepStrictEqual(shown[field], wantedRule[field]))
    .map((field) => ({ field, before: shown[field], after: wantedRule[field] }));
  return [...shownPlain, ...rule];
}

/** The rule of an entry as a policy would show it: what the entry leaves out has its default. */
function toShownRule(entry: Entry): Fields {
  const { data: input } = z.object(ruleInput).safeParse(entry);
  if (input === undefined) return entry;
  if (input.cedar !== undefined) return { ...NO_PARTS, ...input };
  return input.effect === undefined ? input : withDefaults(input.effect, input);
}

function withDefaults<Rule extends Pick<StructuredRule, "actions" | "conditions">>(
  effect: Policy["effect"],
  rule: Rule,
) {
  const { actions, conditions = [] } = rule;
  return { ...rule, actions: actionsOf({ effect, actions }), conditions };
}

/** The rule of a policy is one thing: what an entry leaves out of it is not there. */
export function ruleOf(entry: Entry): Fields {
  const { effect, principals, resources, actions = null, conditions = null, cedar } = entry;
  return cedar === undefined ? { effect, principals, resources, actions, conditions } : { cedar };
}

export function isRuleField(field: string): boolean {
  return RULE_FIELDS.has(field);
}

/** Decided on ids: an entry may name by name or by id. What names something that is still to come is another rule. */
async function isSameRule(entry: Entry, policy: Policy, context: PlanContext): Promise<boolean> {
  if (!Object.keys(entry).some(isRuleField)) return true;
  const input = z.object(ruleInput).safeParse(entry);
  if (!input.success) return false;
  try {
    const built = await buildRule(input.data, readingResolver(context), policy);
    return (
      built.effect === policy.effect &&
      isDeepStrictEqual(whole(built), whole(policy)) &&
      // Of a rule in fields too: a newer program may say it in other words.
      built.cedar === policy.cedar
    );
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return false;
    throw error;
  }
}

/** A default that is written out says nothing new. */
function whole({ effect, rule }: Pick<Policy, "effect" | "rule">) {
  return rule === null ? null : withDefaults(effect, rule);
}

async function assignmentsOf(inputs: z.output<typeof agentFields.servers>, repositories: Repositories) {
  try {
    return sorted(await resolveAssignments(inputs, repositories));
  } catch (error) {
    // A server that is still to be created: then the assignment is another one.
    if (error instanceof AppError && error.code === "not_found") return inputs;
    throw error;
  }
}

/** The entry with its owner and groups as ids, as far as they exist. */
async function withIds(entry: Entry, { members, groups }: Repositories): Promise<Fields> {
  const owner = entry["owner"];
  const named = z.array(z.string()).safeParse(entry["groups"]);
  const groupIds = named.success
    ? await Promise.all(named.data.map(async (ref) => (await groups.find(ref))?.id ?? ref))
    : undefined;
  return {
    ...entry,
    ...(typeof owner === "string" ? { owner: (await members.find(owner))?.id ?? owner } : {}),
    ...(groupIds === undefined ? {} : { groups: [...new Set(groupIds)].toSorted(byText) }),
  };
}

function normalizedUrl({ url }: Entry): Fields {
  return typeof url === "string" && URL.canParse(url) ? { url: new URL(url).href } : {};
}

function diff(wanted: Fields, current: Fields): readonly FieldDiff[] {
  return Object.entries(wanted)
    .filter(([field, after]) => field !== "name" && !isDeepStrictEqual(current[field] ?? null, after ?? null))
    .map(([field, after]) => withoutSecret({ field, before: current[field], after }));
}

/** What a new object starts with. */
export function diffNew(entry: Entry): readonly FieldDiff[] {
  return Object.entries(entry)
    .filter(([field]) => field !== "name")
    .map(([field, after]) => withoutSecret({ field, after }));
}

function withoutSecret(diff: FieldDiff): FieldDiff {
  return SECRET_FIELDS.has(diff.field) ? { field: diff.field } : diff;
}

function sorted(assignments: readonly Assignment[]): readonly Assignment[] {
  return assignments.toSorted((left, right) => byText(left.serverId, right.serverId));
}

function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}

function showTime(at: number | null): string | null {
  return at === null ? null : toRfc3339(at);
}
