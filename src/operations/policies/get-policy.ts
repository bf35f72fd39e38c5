import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { PolicyOutput, showPolicy } from "./policy-output.ts";
import { warningsOf, WarningsOutput } from "./policy-warnings.ts";

/** One policy with what it matched. */
export const getPolicy = defineOperation({
  name: "get_policy",
  title: "Get policy",
  description:
    "Shows one policy: scope, conditions, Cedar text, mode, how often it matched and was violated, by resource, and what is odd about it.",
  route: "GET /policies/{id}",
  command: "policies get",
  roles: READERS,
  effect: "read",
  input: z.object({ id: RefField.describe("Policy, by id or name") }),
  output: z.object({ policy: PolicyOutput, warnings: WarningsOutput }),
  async prepare({ id }, { services }) {
    await services.flushAudit();
    return async (context) => {
      const { repositories, now } = context;
      const policy = await repositories.policies.get(id);
      const warnings = await warningsOf(policy, { repositories, snapshot: services.snapshot(), now, found: [] });
      return { policy: await showPolicy(policy, context), warnings };
    };
  },
  summarize: ({ policy }) =>
    `Policy \`${policy.name}\` (${policy.id}): ${policy.effect}, ${policy.mode}; ${policy.matches.total} matches, ${policy.violations.total} violations.`,
});
