import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { POLICY_EFFECTS, POLICY_MODES } from "../../domain/policy.ts";
import type { CompiledPolicy } from "../../policy/compiled-policy.ts";
import type { Message } from "../../policy/decide-message.ts";
import { evaluate } from "../../policy/evaluate.ts";
import type { PolicyIndex } from "../../policy/policy-index.ts";
import type { Sending } from "../../snapshot/to-message.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField, text, TimeField } from "../fields.ts";
import { checkAccess, currentRules, toToolMessage } from "./access-check.ts";
import { accessFields, showAccess } from "./access-output.ts";
import { requireViews } from "./access-views.ts";

const NOT_AN_ADDRESS = "must be an IPv4 or IPv6 address";

export const callInput = {
  agent: RefField.describe("Agent, by id or name"),
  server: RefField.describe("Server, by id or name"),
  tool: text(512).min(1).describe("Name of the tool"),
  arguments: z.record(z.string(), z.unknown()).optional().describe("Arguments of the call; none unless given"),
  ip: z
    .union([z.ipv4(NOT_AN_ADDRESS), z.ipv6(NOT_AN_ADDRESS)])
    .optional()
    .describe("Address that the agent calls from"),
  client: text(200).optional().describe("What the client says that it is"),
  time: TimeField.optional().describe("Time of the call, RFC 3339; now unless given"),
};

export type CallInput = z.output<z.ZodObject<typeof callInput>>;

/** Why an agent may or may not call a tool. */
export const explainAccess = defineOperation({
  name: "explain_access",
  title: "Explain access",
  description:
    "Says what the gateway would decide on one call, and why: the row of the decision table, the deciding policies, and every policy that matched or could not be evaluated. Nothing is called.",
  route: "POST /access/explanations",
  command: "access explain",
  roles: READERS,
  effect: "read",
  input: z.object(callInput),
  output: z.object({
    decision: z.enum(["allow", "deny", "held"]).describe("What the gateway would decide on exactly this call"),
    ...accessFields,
    considered: z
      .array(
        z.object({
          id: z.string(),
          name: z.string(),
          effect: z.enum(POLICY_EFFECTS),
          mode: z.enum(POLICY_MODES),
          result: z.enum(["matched", "error"]),
        }),
      )
      .describe("Every policy that matched the call or could not be evaluated for it"),
  }),
  async handle(input, context) {
    const snapshot = context.services.snapshot();
    const { agent, server } = await requireViews(input, context);
    const { now } = context;
    const given = toCircumstances(input);
    const target = { agent, server, tool: input.tool };
    const answer = checkAccess(target, { snapshot, rules: currentRules(snapshot), now, given });
    const considered = consider(snapshot.policies, toToolMessage(target, { snapshot, now, given }));
    return { decision: DECISIONS[answer.access], ...showAccess(answer), considered };
  },
  summarize: ({ decision, reason, policies }) =>
    `${decision} (${reason})${policies.length === 0 ? "" : `; policies: ${policies.map(({ name }) => name).join(", ")}`}.`,
});

/** A `conditional` access is a deny of the call as it is asked about. */
const DECISIONS = { allowed: "allow", denied: "deny", conditional: "deny", approval: "held" } as const;

/** What speaks about connecting to the server, which comes first, and about the call itself. */
function consider(index: PolicyIndex, { connect, request }: Message) {
  const found = evaluate(index, request);
  const first = connect === undefined ? { satisfied: [], failed: [] } : evaluate(index, connect);
  const results = new Map<CompiledPolicy, "matched" | "error">();
  for (const policy of [...found.failed, ...first.failed]) results.set(policy, "error");
  // What grants or holds connecting says nothing of a call.
  for (const policy of [...found.satisfied, ...first.satisfied.filter(({ effect }) => effect === "deny")])
    results.set(policy, "matched");
  return [...results].map(([{ id, name, effect, mode }, result]) => ({ id, name, effect, mode, result }));
}

/** The circumstances that a caller gave; the others are those of a call without arguments now. */
export function toCircumstances(input: Partial<CallInput>): Partial<Sending> {
  return {
    args: () => input.arguments,
    ip: input.ip,
    client: input.client,
    ...(input.time === undefined ? {} : { nowMs: input.time }),
  };
}
