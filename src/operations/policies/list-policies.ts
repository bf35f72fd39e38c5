import { z } from "zod";
import { POLICY_EFFECTS, POLICY_MODES } from "../../domain/policy.ts";
import { READERS } from "../../domain/role.ts";
import type { PolicyFilter } from "../../store/ports.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RefField, toPageAnswer, toPageRequest } from "../fields.ts";
import { requireGroupId } from "../groups.ts";
import { policyIdsFor } from "./policies-of.ts";
import { PolicyOutput, showPolicies } from "./policy-output.ts";

const Input = z.object({
  effect: z.enum(POLICY_EFFECTS).optional().describe("Only policies with this effect"),
  mode: z.enum(POLICY_MODES).optional().describe("Only policies in this mode"),
  server: RefField.optional().describe("Only policies that may concern this server"),
  agent: RefField.optional().describe("Only policies that may concern this agent"),
  group: RefField.optional().describe("Only policies that name this group"),
  query: QueryField,
  ...pageInput,
});

/** The policies with what they matched, page by page. */
export const listPolicies = defineOperation({
  name: "list_policies",
  title: "List policies",
  description:
    "Lists policies with effect, mode, scope, Cedar text, how often each matched and how often what it forbids was tried, oldest first. Filter by effect, mode, server, agent, group or text.",
  route: "GET /policies",
  command: "policies list",
  roles: READERS,
  effect: "read",
  input: Input,
  output: pageOutput(PolicyOutput),
  async prepare(input, { services }) {
    // What was decided before this call is in the counts of this call.
    await services.flushAudit();
    return async (context) => {
      const page = await context.repositories.policies.list(await toFilter(input, context), toPageRequest(input));
      const shown = await showPolicies(page.items, context);
      return toPageAnswer({ ...page, items: shown }, (policy) => policy);
    };
  },
  summarize: ({ items, total }) => `${items.length} of ${total} policies.`,
});

async function toFilter(
  input: z.output<typeof Input>,
  { repositories, services }: HandleContext,
): Promise<PolicyFilter> {
  const { effect, mode, query } = input;
  const server = input.server === undefined ? undefined : await repositories.servers.get(input.server);
  const agent = input.agent === undefined ? undefined : await repositories.agents.get(input.agent);
  const mention = input.group === undefined ? undefined : await requireGroupId(input.group, repositories);
  const ids = policyIdsFor({ server, agent }, services.snapshot());
  return { effect, mode, query, mention, ids };
}
