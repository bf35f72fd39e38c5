import { z } from "zod";
import { approvalStatus, decideApproval as decide, type Approval } from "../../domain/approval.ts";
import { GUARDIANS } from "../../domain/role.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation, type EventFacts } from "../define-operation.ts";
import { ExpectedVersionField, RefField, text } from "../fields.ts";
import { RecordedRefusal } from "../refused.ts";
import { requireVersion } from "../require-version.ts";
import { ApprovalOutput, showApproval } from "./approval-output.ts";

const MINUTE_MS = 60_000;

const Input = z.object({
  id: RefField.describe("Approval, by its id"),
  decision: z.enum(["approve", "deny"]).describe("`approve` permits the one call, `deny` refuses it until it expires"),
  note: text(500).optional().describe("Why; kept with the approval and in the audit log"),
  expectedVersion: ExpectedVersionField,
});

type Input = z.output<typeof Input>;

/** A person's word on a held call. Never by those who stand behind the agent, and never twice. */
export const decideApproval = defineOperation({
  name: "decide_approval",
  title: "Decide approval",
  description:
    "Approves or denies one held call, as list_approvals shows it. An approval permits exactly this call, once, until it expires: a call that waits goes on at once, another one when its agent repeats it. The agent's owner, its acting member and their keys may not decide. Returns the approval.",
  route: "POST /approvals/{id}/decide",
  command: "approvals decide",
  roles: GUARDIANS,
  effect: "write",
  action: "approval.decide",
  input: Input,
  output: z.object({ approval: ApprovalOutput }),
  async prepare(input, { services }) {
    // The event of the hold comes before that of the decision.
    await services.flushAudit();
    return (context) => store(input, context);
  },
  event: ({ approval }) => ({
    ...toEvent(approval),
    details: {
      ...toEvent(approval).details,
      decision: approval.status,
      ...(approval.note === undefined ? {} : { note: approval.note }),
    },
  }),
  summarize: ({ approval }) =>
    `Approval \`${approval.id}\` is ${approval.status}; it expires at ${approval.expiresAt}.`,
});

async function store({ id, decision, note, expectedVersion }: Input, context: HandleContext) {
  const { repositories, caller, now } = context;
  const approval = await repositories.approvals.get(id);
  await refuseOwn(approval, context);
  refuseDecided(approval, context);
  requireVersion(approval, expectedVersion);
  const { approvalTtlMinutes } = (await repositories.organization.get()).settings;
  const { type, id: actorId, name } = caller.actor;
  const decided = decide(approval, {
    status: decision === "approve" ? "approved" : "denied",
    decision: { at: now, by: { type, id: actorId, name }, note: note ?? null },
    ttlMs: approvalTtlMinutes * MINUTE_MS,
  });
  await repositories.approvals.save(decided);
  return { approval: showApproval(decided, now) };
}

/** Whoever answers for the agent does not let it through: four eyes, not two. */
async function refuseOwn(approval: Approval, { repositories, caller }: HandleContext): Promise<void> {
  const { requester, member } = approval;
  const agent = await repositories.agents.find(approval.agent.id);
  const own = [member?.id, agent?.owner, requester?.onBehalfOf?.id];
  const isAsker = requester?.id === caller.actor.id;
  if (!isAsker && (caller.memberId === null || !own.includes(caller.memberId))) return;
  const message = `approval \`${approval.id}\` is for a call of an agent that you answer for, or that you asked for yourself; ask another member with the role \`security\` or above`;
  throw new RecordedRefusal({ code: "forbidden", message, reason: "self_approval" }, toEvent(approval));
}

function refuseDecided(approval: Approval, { now }: HandleContext): void {
  const status = approvalStatus(approval, now);
  if (status === "pending") return;
  const message = `approval \`${approval.id}\` is ${status} and can no longer be decided; the agent can repeat its call for a new one`;
  throw new RecordedRefusal({ code: "conflict", message, reason: `approval_${status}` }, toEvent(approval));
}

function toEvent({
  id,
  agent,
  server,
  target,
  correlationId,
}: Pick<Approval, "id" | "agent" | "target" | "correlationId"> & {
  server?: Approval["server"] | undefined;
}): EventFacts {
  return {
    resource: { type: "approval", id, name: id },
    correlationId,
    details: {
      agent: { ...agent },
      ...(server === undefined || server === null ? {} : { server: { ...server } }),
      target: { ...target },
    },
  };
}
