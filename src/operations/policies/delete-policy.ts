import { z } from "zod";
import { GUARDIANS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField } from "../fields.ts";
import { requireVersion } from "../require-version.ts";
import { stagePolicyChange } from "./policy-change.ts";
import { ImpactOutput } from "./policy-impact.ts";

/** Removes a rule; it stops applying at once. */
export const deletePolicy = defineOperation({
  name: "delete_policy",
  title: "Delete policy",
  description:
    "Removes a policy for good: it stops applying at once, everywhere. Its servers and agents keep running under the rules that remain. Needs `confirm: true`; without it, shows who would gain and who would lose access and what would have changed in recorded calls. To stop a rule and keep it, set its mode to `disabled` instead.",
  route: "DELETE /policies/{id}",
  command: "policies delete",
  roles: GUARDIANS,
  effect: "destroy",
  action: "policy.delete",
  input: z.object({ id: RefField.describe("Policy, by id or name"), expectedVersion: ExpectedVersionField }),
  output: z.object({ deleted: z.object({ id: z.string(), name: z.string() }), impact: ImpactOutput }),
  prepare({ id, expectedVersion }, prepareContext) {
    return Promise.resolve(
      stagePolicyChange(prepareContext, async ({ repositories }, impact) => {
        const policy = await repositories.policies.get(id);
        requireVersion(policy, expectedVersion);
        await repositories.policies.delete(policy.id);
        return {
          deleted: { id: policy.id, name: policy.name },
          impact: impact({ before: policy, after: undefined }),
        };
      }),
    );
  },
  event: ({ deleted, impact }) => ({
    resource: { type: "policy", id: deleted.id, name: deleted.name },
    details: { gains: impact.gains.length, loses: impact.loses.length },
  }),
  summarize: ({ deleted, impact }) =>
    `Policy \`${deleted.name}\` (${deleted.id}): deletion gives ${impact.gains.length} agents more access and ${impact.loses.length} less. Of ${impact.replayed} recorded calls: ${impact.newlyDenied} newly denied, ${impact.newlyAllowed} newly allowed, ${impact.newlyHeld} newly held.`,
});
