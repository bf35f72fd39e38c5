import type { GatewayContext } from "../context.ts";
import { recordDenial } from "../record-denial.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import { askerOf, type Connection } from "./connections.ts";
import { type Handling, recordAnswer } from "./made-answer.ts";
import { toAggregateDraft } from "./record.ts";
import { type ServingSkill, visibleSkills } from "./skill-decision.ts";

/** The skills that a client may see now. */
export function skillsOf(connection: Connection, context: GatewayContext): readonly ServingSkill[] {
  return visibleSkills(askerOf(connection, context), context.clock.now());
}

/** A skill's text that an agent asks for. */
export interface Reading {
  readonly event: "resource.read" | "prompt.get";
  readonly view: ServingSkill;
  readonly path: string;
}

/** Puts into the log that an agent got a skill's text, or that there was no room for it, and gives it. */
export async function recordReading<T>(
  answer: T,
  { event, view: { skill, serving }, path }: Reading,
  handling: Handling & { readonly bytes?: number },
): Promise<T> {
  const { connection, parts } = handling;
  const draft = toAggregateDraft(askerOf(connection, parts.context), {
    event,
    time: parts.context.clock.now(),
    resource: { type: "skill", id: skill.id, name: skill.name },
    sessionId: connection.sessionId,
    details: { version: serving.version, path },
  });
  return recordAnswer(answer, draft, handling);
}

/** For a skill that is not there for this agent, whatever the reason. */
export async function refuseSkill(
  event: "resource.read" | "prompt.get",
  name: string,
  { connection, context }: { connection: Connection; context: GatewayContext },
): Promise<RpcRefusal> {
  const shown = context.maskName(name).slice(0, 200).toWellFormed();
  const draft = toAggregateDraft(askerOf(connection, context), {
    event,
    time: context.clock.now(),
    resource: { type: "skill", id: shown, name: shown },
    sessionId: connection.sessionId,
  });
  await recordDenial(context, { draft, reason: "not_assigned", keyId: connection.keyId });
  return new RpcRefusal({
    status: 200,
    code: RPC_CODES.invalidParams,
    message: "there is no such skill for this agent; list what there is, or ask an administrator of this gateway",
  });
}
