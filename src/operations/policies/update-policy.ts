import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Policy, StructuredRule } from "../../domain/policy.ts";
import { GUARDIANS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField } from "../fields.ts";
import { requireVersion } from "../require-version.ts";
import { type BuiltRule, buildRule, readingResolver, rebuildRule, writingResolver } from "./build-rule.ts";
import { stagePolicyChange } from "./policy-change.ts";
import { toEventDetails } from "./policy-event.ts";
import { confirmField, policyFields, type RuleInput } from "./policy-fields.ts";
import { needsConfirmation } from "./policy-confirmation.ts";
import { ImpactOutput } from "./policy-impact.ts";
import { PolicyOutput, showPolicy } from "./policy-output.ts";
import { warningsOf, WarningsOutput } from "./policy-warnings.ts";
import { type Resolver, resolvePrincipals, resolveResources } from "./resolve-scope.ts";

const Input = z.object({
  id: RefField.describe("Policy, by id or name"),
  name: policyFields.name.optional(),
  description: policyFields.description.nullable().optional(),
  mode: policyFields.mode.optional(),
  effect: policyFields.effect.optional(),
  principals: policyFields.principals.optional(),
  resources: policyFields.resources.optional(),
  actions: policyFields.actions.nullable().optional(),
  conditions: policyFields.conditions.nullable().optional(),
  cedar: policyFields.cedar.optional(),
  audit: policyFields.audit.nullable().optional(),
  expiresAt: policyFields.expiresAt.nullable().optional(),
  expectedVersion: ExpectedVersionField,
  confirm: confirmField,
});

type Input = z.output<typeof Input>;

const DiffOutput = z.array(z.object({ field: z.string(), before: z.unknown(), after: z.unknown() }));

/** Changes a rule; the change holds from the next message on. */
export const updatePolicy = defineOperation({
  name: "update_policy",
  title: "Update policy",
  description:
    "Changes a policy: its scope, conditions, effect, mode (`monitor` and `disabled` stop it from being applied), recording level or expiry. `principals`, `resources`, `actions` and `conditions` are each replaced as a whole; `null` clears an optional field. The change holds on every node for the next message. Returns the policy, what changed and the impact on recorded calls.",
  route: "PATCH /policies/{id}",
  command: "policies update",
  roles: GUARDIANS,
  effect: "write",
  action: "policy.update",
  input: Input,
  output: z.object({ policy: PolicyOutput, diff: DiffOutput, impact: ImpactOutput, warnings: WarningsOutput }),
  async needsConfirmation(input, context) {
    const { repositories, now } = context;
    const current = await repositories.policies.get(input.id);
    const { policy } = await applyChange(current, input, { resolver: readingResolver(context), now });
    return needsConfirmation({ before: current, after: policy }, context);
  },
  prepare(input, prepareContext) {
    return Promise.resolve(
      stagePolicyChange(prepareContext, async (context, impact) => {
        const { repositories, services, now } = context;
        const current = await repositories.policies.get(input.id);
        requireVersion(current, input.expectedVersion);
        const changed = await applyChange(current, input, { resolver: writingResolver(context), now });
        const { policy, warnings: found } = changed;
        await repositories.policies.save(policy);
        const [before, after] = [await showPolicy(current, context), await showPolicy(policy, context)];
        return {
          policy: after,
          diff: diff(before, after),
          impact: impact({ before: current, after: policy }),
          warnings: await warningsOf(policy, { repositories, snapshot: services.snapshot(), now, found }),
        };
      }),
    );
  },
  event: ({ policy, diff: changes }) => ({
    resource: { type: "policy", id: policy.id, name: policy.name },
    policies: [{ id: policy.id, name: policy.name }],
    details: { ...toEventDetails(policy), changed: changes.map(({ field }) => field) },
  }),
  summarize: ({ policy, impact }) =>
    `Policy \`${policy.name}\` (${policy.id}) is at version ${policy.version}: ${policy.effect}, ${policy.mode}. Of ${impact.replayed} recorded calls: ${impact.newlyDenied} newly denied, ${impact.newlyAllowed} newly allowed, ${impact.newlyHeld} newly held, ${impact.undetermined} undetermined.`,
});

async function applyChange(
  current: Policy,
  input: Input,
  { resolver, now }: { readonly resolver: Resolver; readonly now: number },
): Promise<{ readonly policy: Policy; readonly warnings: readonly string[] }> {
  const { warnings, ...built } = await changeRule(current, input, resolver);
  const policy = {
    ...current,
    ...built,
    name: input.name ?? current.name,
    description: input.description === undefined ? current.description : input.description,
    mode: input.mode ?? current.mode,
    audit: input.audit === undefined ? current.audit : input.audit,
    expiresAt: input.expiresAt === undefined ? current.expiresAt : input.expiresAt,
    version: current.version + 1,
    updatedAt: now,
  };
  return { policy, warnings };
}

async function changeRule(current: Policy, input: Input, resolver: Resolver): Promise<BuiltRule> {
  const { effect, principals, resources, actions, conditions, cedar } = input;
  const isUntouched = [effect, principals, resources, actions, conditions, cedar].every((field) => field === undefined);
  if (isUntouched) return { ...current, warnings: [] };
  const given: RuleInput = {
    effect,
    principals,
    resources,
    actions: actions ?? undefined,
    conditions: conditions ?? undefined,
    cedar,
  };
  if (cedar !== undefined) return buildRule(given, resolver, current);
  // A policy in Cedar text has no parts to change: it becomes a structured one as a whole.
  if (current.rule === null) return buildRule({ ...given, effect: effect ?? current.effect }, resolver);
  return rebuildRule(effect ?? current.effect, await changeParts(current.rule, input, resolver));
}

async function changeParts(rule: StructuredRule, input: Input, resolver: Resolver): Promise<StructuredRule> {
  const { principals, resources } = input;
  const actions = input.actions === undefined ? rule.actions : (input.actions ?? undefined);
  const conditions = input.conditions === undefined ? rule.conditions : (input.conditions ?? undefined);
  return {
    principals: principals === undefined ? rule.principals : await resolvePrincipals(principals, resolver),
    resources: resources === undefined ? rule.resources : await resolveResources(resources, resolver),
    ...(actions === undefined ? {} : { actions }),
    ...(conditions === undefined ? {} : { conditions }),
  };
}

const NOT_CHANGES: ReadonlySet<string> = new Set(["version", "updatedAt", "violations", "matches", "lastMatchedAt"]);

function diff(before: object, after: object): z.input<typeof DiffOutput> {
  const old = new Map<string, unknown>(Object.entries(before));
  const current = new Map<string, unknown>(Object.entries(after));
  const fields = [...new Set([...old.keys(), ...current.keys()])].filter((field) => !NOT_CHANGES.has(field));
  return fields
    .filter((field) => !isDeepStrictEqual(old.get(field), current.get(field)))
    .map((field) => ({ field, before: old.get(field) ?? null, after: current.get(field) ?? null }));
}
