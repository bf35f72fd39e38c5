import type { GatewayContext } from "../context.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import { askerOf, type Connection } from "./connections.ts";
import { toAggregateDraft } from "./record.ts";
import { type ServingSkill, visibleSkills } from "./skill-decision.ts";

/** The skills that a client may see now. */
export function skillsOf(connection: Connection, context: GatewayContext): readonly ServingSkill[] {
  return visibleSkills(askerOf(connection, context), context.clock.now());
}

/** Puts into the log that an agent got a skill's text, before it gets it. */
export async function recordReading(
  event: "resource.read" | "prompt.get",
  { skill, serving }: ServingSkill,
  { connection, context, path }: { connection: Connection; context: GatewayContext; path: string },
): Promise<void> {
  const draft = toAggregateDraft(askerOf(connection, context), {
    event,
    time: context.clock.now(),
    resource: { type: "skill", id: skill.id, name: skill.name },
    sessionId: connection.sessionId,
    details: { version: serving.version, path },
  });
  await context.audit.record({ ...draft, outcome: "success" });
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
  await context.audit.record({ ...draft, outcome: "denied", reason: "not_assigned" });
  return new RpcRefusal({
    status: 200,
    code: RPC_CODES.invalidParams,
    message: "there is no such skill for this agent; list what there is, or ask an administrator of this gateway",
  });
}
