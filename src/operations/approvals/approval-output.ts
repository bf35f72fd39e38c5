import { z } from "zod";
import { APPROVAL_STATUSES, approvalStatus, type Approval } from "../../domain/approval.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { escapeHidden, escapeHiddenText } from "../../lib/escape-hidden.ts";

const Named = z.object({ id: z.string(), name: z.string() });
const TARGET_CHARACTERS_MAX = 512;

export const ApprovalOutput = z.object({
  id: z.string(),
  status: z.enum(APPROVAL_STATUSES),
  agent: Named,
  member: Named.optional().describe("The acting member"),
  server: Named.optional().describe("Absent for a skill"),
  action: z.string(),
  target: z
    .object({ type: z.string(), name: z.string(), id: z.string().optional(), version: z.int().optional() })
    .describe("What is called; of a skill also its id and the version that runs"),
  requester: z
    .object({ type: z.string(), id: z.string(), name: z.string() })
    .optional()
    .describe("Who tries the skill in the agent's name, and so may not decide"),
  toolDigest: z
    .string()
    .optional()
    .describe("Of the tool's definition or the skill's version; another one is another approval"),
  argumentsHash: z.string().describe("SHA-256 of the exact arguments; others are another approval"),
  arguments: z
    .unknown()
    .optional()
    .describe(
      "Chosen by the agent; secrets masked; absent where the audit log keeps none, or where they are over 16 KiB",
    ),
  argumentsAltered: z.boolean().optional().describe("What is shown differs from what would be sent, as by a mask"),
  argumentsDigest: z.string().optional().describe("`sha256:<hex>` of the arguments' JSON, where they are not shown"),
  argumentsBytes: z.int().optional().describe("How long that JSON is"),
  policies: z.array(Named).describe("Why the call is held"),
  correlationId: z.string().describe("Of the events of the hold, of its decision and of the call"),
  requestedAt: z.string(),
  expiresAt: z.string(),
  decidedAt: z.string().optional(),
  decidedBy: z.object({ type: z.string(), id: z.string(), name: z.string() }).optional(),
  note: z.string().optional(),
  usedAt: z.string().optional().describe("When the one call that it permits was sent"),
  version: z.int(),
});

export function showApproval(approval: Approval, now: number): z.input<typeof ApprovalOutput> {
  const { id, agent, member, server, action, target, requester, toolDigest, argumentsHash, payload } = approval;
  const { decision } = approval;
  return {
    id,
    status: approvalStatus(approval, now),
    agent: { ...agent },
    ...(member === null ? {} : { member: { ...member } }),
    ...(server === null ? {} : { server: { ...server } }),
    action,
    target: { ...target, name: escapeHiddenText(target.name, TARGET_CHARACTERS_MAX) },
    ...(requester === null ? {} : { requester: { type: requester.type, id: requester.id, name: requester.name } }),
    ...(toolDigest === null ? {} : { toolDigest }),
    argumentsHash,
    ...showArguments(payload),
    policies: approval.policies.map(({ id, name }) => ({ id, name })),
    correlationId: approval.correlationId,
    requestedAt: toRfc3339(approval.requestedAt),
    expiresAt: toRfc3339(approval.expiresAt),
    ...(decision === null ? {} : { decidedAt: toRfc3339(decision.at), decidedBy: { ...decision.by } }),
    ...(decision === null || decision.note === null ? {} : { note: decision.note }),
    ...(approval.usedAt === null ? {} : { usedAt: toRfc3339(approval.usedAt) }),
    version: approval.version,
  };
}

function showArguments(payload: Approval["payload"]): Partial<z.input<typeof ApprovalOutput>> {
  const { arguments: args, argumentsAltered, argumentsDigest, argumentsBytes } = payload;
  return {
    ...(args === undefined ? {} : { arguments: escapeHidden(args) }),
    ...(argumentsAltered === true ? { argumentsAltered } : {}),
    ...(typeof argumentsDigest === "string" ? { argumentsDigest } : {}),
    ...(typeof argumentsBytes === "number" ? { argumentsBytes } : {}),
  };
}
