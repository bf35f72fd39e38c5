import { z } from "zod";
import type { Policy } from "../../domain/policy.ts";
import { GUARDIANS } from "../../domain/role.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { type BuiltRule, buildRule, readingResolver, writingResolver } from "./build-rule.ts";
import { stagePolicyChange } from "./policy-change.ts";
import { toEventDetails } from "./policy-event.ts";
import { confirmField, policyFields, ruleInput } from "./policy-fields.ts";
import { needsConfirmation } from "./policy-confirmation.ts";
import { ImpactOutput } from "./policy-impact.ts";
import { PolicyOutput, showPolicy } from "./policy-output.ts";
import { warningsOf, WarningsOutput } from "./policy-warnings.ts";

const Input = z.object({
  name: policyFields.name,
  description: policyFields.description.optional(),
  mode: policyFields.mode.optional(),
  ...ruleInput,
  audit: policyFields.audit.optional(),
  expiresAt: policyFields.expiresAt.optional(),
  confirm: confirmField,
});

type Input = z.output<typeof Input>;

/** Adds a rule; it holds from the next message on. */
export const createPolicy = defineOperation({
  name: "create_policy",
  title: "Create policy",
  description:
    "Adds a rule that allows, denies or holds messages, written with principals, resources, actions and conditions or as Cedar text. It holds from the next message on; `mode: monitor` only counts. Use `dryRun` to see first what it would have changed in the recorded calls. Returns the policy, its impact and warnings.",
  route: "POST /policies",
  command: "policies create",
  roles: GUARDIANS,
  effect: "write",
  isCreation: true,
  action: "policy.create",
  input: Input,
  output: z.object({ policy: PolicyOutput, impact: ImpactOutput, warnings: WarningsOutput }),
  async needsConfirmation(input, context) {
    if (input.mode !== undefined && input.mode !== "enforce") return false;
    const policy = toPolicy(input, await buildRule(input, readingResolver(context)), context);
    return needsConfirmation({ before: undefined, after: policy }, context);
  },
  prepare(input, prepareContext) {
    return Promise.resolve(
      stagePolicyChange(prepareContext, async (context, impact) => {
        const { repositories, services, now } = context;
        const built = await buildRule(input, writingResolver(context));
        const policy = toPolicy(input, built, context);
        await repositories.policies.insert(policy);
        return {
          policy: await showPolicy(policy, context),
          impact: impact({ before: undefined, after: policy }),
          warnings: await warningsOf(policy, {
            repositories,
            snapshot: services.snapshot(),
            now,
            found: built.warnings,
          }),
        };
      }),
    );
  },
  event: ({ policy }) => ({
    resource: { type: "policy", id: policy.id, name: policy.name },
    details: toEventDetails(policy),
  }),
  summarize: ({ policy, impact, warnings }) =>
    `Policy \`${policy.name}\` (${policy.id}): ${policy.effect}, ${policy.mode}. Of ${impact.replayed} recorded calls: ${impact.newlyDenied} newly denied, ${impact.newlyAllowed} newly allowed, ${impact.newlyHeld} newly held, ${impact.undetermined} undetermined; ${warnings.length} warnings.`,
});

function toPolicy(input: Input, built: BuiltRule, { services, now }: HandleContext): Policy {
  const { effect, rule, cedar, ast, mentions } = built;
  return {
    id: services.newId(),
    name: input.name,
    description: input.description ?? null,
    effect,
    mode: input.mode ?? "enforce",
    rule,
    cedar,
    ast,
    mentions,
    audit: input.audit ?? null,
    expiresAt: input.expiresAt ?? null,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
}
