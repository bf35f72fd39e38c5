import { z } from "zod";
import type { Policy } from "../../domain/policy.ts";
import {
  type AttachedObject,
  namesObject,
  type PolicyObject,
  withObject,
  withoutObject,
} from "../../domain/policy-references.ts";
import { AppError } from "../../lib/errors.ts";
import { isNarrowedTo } from "../../policy/applies-to.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
import type { HandleContext } from "../context.ts";
import { RefField } from "../fields.ts";
import { rebuildRule } from "./build-rule.ts";
import { toEventDetails } from "./policy-event.ts";

const PolicyRefs = z.array(RefField).max(200);

/** Which policies name a server or an agent; needs `security` or above. */
export const attachedPolicyFields = {
  policies: PolicyRefs.describe("Policies that name it, by id or name; needs `security` or above"),
  addPolicies: PolicyRefs.describe("Policies whose scope it joins; needs `security` or above"),
  removePolicies: PolicyRefs.describe(
    "Policies whose scope it leaves; one that it empties is disabled; needs `security` or above",
  ),
};

export const NamedPolicy = z.object({ id: z.string(), name: z.string() });

export function toNamed({ id, name }: Policy): z.output<typeof NamedPolicy> {
  return { id, name };
}

export interface PolicyAttachment {
  /** Replaces the whole set of policies that name the object. */
  readonly policies?: readonly string[] | undefined;
  readonly addPolicies?: readonly string[] | undefined;
  readonly removePolicies?: readonly string[] | undefined;
}

/** As events name it. */
type Named<Thing> = Thing & { readonly name: string };

/** What an answer says of policies that an object left. */
export const policiesDisabledField = z
  .array(NamedPolicy)
  .optional()
  .describe("Policies that it left and that nothing is left of: disabled, never widened");

export interface ScopeChanges {
  /** As they are stored now. */
  readonly changed: readonly Policy[];
  /** Those of them that lost all that they selected. */
  readonly disabled: readonly Policy[];
}

/** Puts an object into the scope of policies and takes it out of others. Throws `invalid_input` for a policy in Cedar text. */
export async function attachPolicies(
  object: Named<AttachedObject>,
  { policies, addPolicies = [], removePolicies = [] }: PolicyAttachment,
  context: HandleContext,
): Promise<ScopeChanges> {
  const get = (ref: string): Promise<Policy> => context.repositories.policies.get(ref);
  const wanted = new Map<string, Policy>();
  for (const ref of [...(policies ?? []), ...addPolicies]) wanted.set((await get(ref)).id, await get(ref));
  const leaving = new Map<string, Policy>();
  for (const ref of removePolicies) leaving.set((await get(ref)).id, requireNaming(await get(ref), object));
  if (policies !== undefined) {
    const naming = await context.repositories.policies.mentioning([object.id]);
    for (const policy of naming) if (isNaming(policy, object) && !wanted.has(policy.id)) leaving.set(policy.id, policy);
  }
  const added: Policy[] = [];
  for (const policy of wanted.values()) added.push(...(await join(policy, object, context)));
  const left = await leave([...leaving.values()], object, context);
  return { changed: [...added, ...left.changed], disabled: left.disabled };
}

/** Takes an object that is deleted out of every policy; one that it empties is disabled, never widened. */
export async function removeFromPolicies(object: Named<PolicyObject>, context: HandleContext): Promise<ScopeChanges> {
  return leave(await context.repositories.policies.mentioning([object.id]), object, context);
}

async function join(policy: Policy, object: Named<AttachedObject>, context: HandleContext): Promise<Policy[]> {
  if (policy.rule === null) throw inCedar(policy);
  const rule = withObject(policy.rule, object);
  if (JSON.stringify(rule) === JSON.stringify(policy.rule)) return [];
  const changed = await save(policy, { rule }, context);
  await record(changed, { changed: [scopeOf(object)], joined: toRef(object) }, context);
  return [changed];
}

async function leave(
  policies: readonly Policy[],
  object: Named<PolicyObject>,
  context: HandleContext,
): Promise<ScopeChanges> {
  const changed: Policy[] = [];
  const disabled: Policy[] = [];
  for (const policy of policies) {
    const rule = policy.rule === null ? undefined : withoutObject(policy.rule, object);
    if (rule !== undefined) {
      const narrowed = await save(policy, { rule }, context);
      await record(narrowed, { changed: [scopeOf(object)], left: toRef(object) }, context);
      changed.push(narrowed);
    } else if (policy.mode !== "disabled" && isEmptied(policy, object)) {
      // Its scope stays as it was: ids that nobody has any more select nothing, whatever becomes of its mode.
      const emptied = await save(policy, { mode: "disabled" }, context);
      await record(emptied, { changed: ["mode"], left: toRef(object) }, context);
      disabled.push(emptied);
    }
  }
  return { changed: [...changed, ...disabled], disabled };
}

/** A text keeps the ids that it was written with; it is emptied where its scope holds nothing else. */
function isEmptied(policy: Policy, object: PolicyObject): boolean {
  return policy.rule !== null || isNarrowedTo(toCompiledPolicy(policy), object);
}

async function save(
  policy: Policy,
  change: Partial<Pick<Policy, "rule" | "mode">>,
  { repositories, now }: HandleContext,
): Promise<Policy> {
  const { rule = null } = change;
  const { warnings: _, ...built } = rule === null ? { warnings: [] } : rebuildRule(policy.effect, rule);
  const changed = { ...policy, ...change, ...built, version: policy.version + 1, updatedAt: now };
  await repositories.policies.save(changed);
  return changed;
}

/** Of its own beside the event of the object: whoever asks for the history of a policy finds who changed its scope. */
async function record(
  policy: Policy,
  done: Readonly<Record<string, unknown>>,
  { record: recordEvent }: HandleContext,
): Promise<void> {
  const { id, name } = policy;
  await recordEvent("policy.update", {
    resource: { type: "policy", id, name },
    policies: [{ id, name }],
    details: { ...toEventDetails(policy), ...done },
  });
}

function scopeOf({ kind }: PolicyObject): "principals" | "resources" {
  return kind === "agent" ? "principals" : "resources";
}

function toRef({ kind, id, name }: Named<PolicyObject>) {
  return { type: kind, id, name };
}

function isNaming({ rule }: Policy, object: AttachedObject): boolean {
  return rule !== null && namesObject(rule, object);
}

function requireNaming(policy: Policy, object: AttachedObject): Policy {
  if (policy.rule === null) throw inCedar(policy);
  if (isNaming(policy, object)) return policy;
  throw new AppError(
    "invalid_input",
    `policy \`${policy.name}\` does not name this ${object.kind}; change its scope with update_policy`,
    { details: { field: "removePolicies" } },
  );
}

function inCedar({ name }: Policy): AppError {
  return new AppError(
    "invalid_input",
    `policy \`${name}\` is written as Cedar text; change the text with update_policy`,
    { details: { field: "policies" } },
  );
}
