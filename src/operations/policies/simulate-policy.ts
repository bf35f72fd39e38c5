import { z } from "zod";
import type { Policy } from "../../domain/policy.ts";
import { READERS } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { checkAccess } from "./access-check.ts";
import { accessFields, showAccess } from "./access-output.ts";
import { requireViews } from "./access-views.ts";
import { buildRule, readingResolver } from "./build-rule.ts";
import { callInput, toCircumstances } from "./explain-access.ts";
import { toChange } from "./policy-change.ts";
import { policyFields, ruleInput } from "./policy-fields.ts";
import { ImpactOutput, impactOf } from "./policy-impact.ts";
import { warningsOf, WarningsOutput } from "./policy-warnings.ts";
import { replayCalls } from "./replay-impact.ts";

const Input = z.object({
  id: RefField.optional().describe("Policy to try in another `mode`, or to replace by the rule that is given"),
  mode: policyFields.mode.optional(),
  ...ruleInput,
  call: z.strictObject(callInput).optional().describe("One call to decide with and without the policy"),
});

type Input = z.output<typeof Input>;

const Answer = z.object(accessFields);

/** What a rule would do, without saving it. */
export const simulatePolicy = defineOperation({
  name: "simulate_policy",
  title: "Simulate policy",
  description:
    "Tries a rule without saving it: replays the recorded calls of the last 30 days under the present rules and with it, and decides one call with and without it if one is given. The rule is written as for create_policy, or `id` names a saved one (it is then tried as enforced unless `mode` says otherwise).",
  route: "POST /policies/simulations",
  command: "policies simulate",
  roles: READERS,
  effect: "read",
  input: Input,
  output: z.object({
    cedar: z.string().describe("The rule as Cedar text"),
    impact: ImpactOutput,
    warnings: WarningsOutput,
    call: z.object({ before: Answer, after: Answer }).optional(),
  }),
  async prepare(input, { services }) {
    await services.flushAudit();
    return async (context) => {
      const { repositories, now } = context;
      const snapshot = services.snapshot();
      const { before, after, found } = await draft(input, context);
      const change = toChange({ before, after }, { snapshot, now });
      const replayed = await replayCalls({ ...change, read: (work) => work(repositories) });
      return {
        cedar: after.cedar,
        impact: { ...impactOf(change), ...replayed },
        warnings: await warningsOf(after, { repositories, snapshot, now, found }),
        ...(input.call === undefined ? {} : { call: await decideCall(input.call, change, context) }),
      };
    };
  },
  summarize: ({ impact, warnings }) =>
    `Of ${impact.replayed} recorded calls: ${impact.newlyDenied} newly denied, ${impact.newlyAllowed} newly allowed, ${impact.newlyHeld} newly held, ${impact.undetermined} undetermined; ${warnings.length} warnings.`,
});

async function decideCall(
  call: NonNullable<Input["call"]>,
  change: ReturnType<typeof toChange>,
  context: HandleContext,
) {
  const { snapshot, before, after, now } = change;
  const access = { ...(await requireViews(call, context)), tool: call.tool };
  const given = toCircumstances(call);
  return {
    before: showAccess(checkAccess(access, { snapshot, rules: before, now, given })),
    after: showAccess(checkAccess(access, { snapshot, rules: after, now, given })),
  };
}

interface Draft {
  readonly before: Policy | undefined;
  readonly after: Policy;
  readonly found: readonly string[];
}

async function draft(input: Input, context: HandleContext): Promise<Draft> {
  const { id, mode = "enforce", call: _, ...rule } = input;
  const before = id === undefined ? undefined : await context.repositories.policies.get(id);
  const isRuleGiven = Object.values(rule).some((field) => field !== undefined);
  if (before !== undefined && !isRuleGiven) return { before, after: { ...before, mode }, found: [] };
  if (before === undefined && !isRuleGiven) {
    throw new AppError("invalid_input", "give a rule to try, or the `id` of a policy", { details: { field: "id" } });
  }
  const { warnings: found, ...built } = await buildRule(rule, readingResolver(context), before);
  const base = before ?? unsaved(context);
  return { before, after: { ...base, ...built, mode }, found };
}

function unsaved({ services, now }: HandleContext): Omit<Policy, "effect" | "rule" | "cedar" | "ast" | "mentions"> {
  return {
    id: services.newId(),
    name: "simulated",
    description: null,
    mode: "enforce",
    audit: null,
    expiresAt: null,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
}
