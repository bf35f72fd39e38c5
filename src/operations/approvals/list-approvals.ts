import { z } from "zod";
import { APPROVAL_STATUSES } from "../../domain/approval.ts";
import { READERS } from "../../domain/role.ts";
import { getVisibleAgent } from "../agents/visible-agent.ts";
import { ownerSeen } from "../agents/own-agents.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, RefField, toPageAnswer, toPageRequest } from "../fields.ts";
import { getVisibleServer } from "../servers/visible-server.ts";
import { ApprovalOutput, showApproval } from "./approval-output.ts";

/** Calls that policies hold until a person says yes. */
export const listApprovals = defineOperation({
  name: "list_approvals",
  title: "List approvals",
  description:
    "Lists calls that `require_approval` policies hold: who wants to call what with which arguments, under which policies, until when. The pending ones unless told; decide_approval decides them. A member sees those of its own agents.",
  route: "GET /approvals",
  command: "approvals list",
  roles: [...READERS, "member"],
  effect: "read",
  input: z.object({
    status: z
      .enum(APPROVAL_STATUSES)
      .optional()
      .describe("`pending` unless told; `approved` waits for its call, `used` had it"),
    agent: RefField.optional().describe("Of this agent, by id or name"),
    server: RefField.optional().describe("On this server, by id or name"),
    ...pageInput,
  }),
  output: pageOutput(ApprovalOutput),
  async handle(input, context) {
    const { repositories, caller, now } = context;
    const filter = {
      status: input.status ?? ("pending" as const),
      agentId: input.agent === undefined ? undefined : (await getVisibleAgent(input.agent, context)).id,
      serverId: input.server === undefined ? undefined : (await getVisibleServer(input.server, context)).id,
      agentOwner: ownerSeen(caller),
      now,
    };
    const page = await repositories.approvals.list(filter, toPageRequest(input));
    return toPageAnswer(page, (approval) => showApproval(approval, now));
  },
  summarize: ({ items, total }) => `${items.length} of ${total} approvals.`,
});
