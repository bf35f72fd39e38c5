import type { DecisionDraft } from "../../domain/audit-event.ts";
import type { AuditPayloads } from "../../domain/organization.ts";
import type { SkillVersion } from "../../domain/skill.ts";
import type { GatewayContext } from "../context.ts";
import type { Decision } from "../decide.ts";
import type { Refusal } from "../judge.ts";
import { matchDetails, toPayload } from "../record.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import type { ServingSkill, SkillAsker } from "./skill-decision.ts";

/** A run of a skill with what was decided about it, as of one snapshot. */
export interface JudgedRun {
  readonly asker: SkillAsker;
  readonly view: ServingSkill;
  readonly decision: Decision;
  /** What the log keeps of the input. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** The event of the run before its outcome. */
  readonly draft: DecisionDraft;
}

/** What may be kept of a run's input: as the matching policies ask, else as the organization does. */
export function payloadOf(
  input: unknown,
  audit: AuditPayloads | undefined,
  { liveView, maskSecrets }: GatewayContext,
): Readonly<Record<string, unknown>> {
  const given = input ?? {};
  const payload = { bytes: Buffer.from(JSON.stringify(given)), value: () => given };
  return toPayload(payload, audit ?? liveView.current.organization.settings.auditPayloads, maskSecrets);
}

/** What the event of a run says of the version that runs, of its input and of the policies that also matched. */
export function detailsOf(
  { version, digest }: SkillVersion,
  payload: JudgedRun["payload"],
  decision: Decision | undefined,
): Readonly<Record<string, unknown>> {
  return { version, digest, ...payload, ...(decision === undefined ? {} : matchDetails(decision)) };
}

/** Resolves when the event of the refusal is durable; rejects with `unavailable` where it cannot be. */
export async function recordRefusal({ draft, outcome, reason }: Refusal, { audit }: GatewayContext): Promise<void> {
  await audit.record({ ...draft, outcome, reason });
}

/** The refusal as the answer to the agent's call (contract section 5). */
export function toRpcRefusal({ draft, outcome, reason, message, policies, approvalId }: Refusal): RpcRefusal {
  const isHeld = outcome === "held";
  const data = {
    type: isHeld ? "runlayer.approval_pending" : "runlayer.denied",
    reason,
    policies,
    correlationId: draft.correlationId,
    ...(approvalId === undefined ? {} : { approvalId }),
  };
  const code = isHeld ? RPC_CODES.approvalPending : RPC_CODES.denied;
  return new RpcRefusal({ status: 200, code, message }, { data });
}
