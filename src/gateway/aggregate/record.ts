import type { DecisionDraft, ResourceRef } from "../../domain/audit-event.ts";
import { newId } from "../../lib/ids.ts";
import type { DecidingPolicy } from "../decide.ts";
import { toActor } from "../record.ts";
import type { GatewayContext } from "../context.ts";
import type { Connection } from "./connections.ts";
import type { SkillAsker } from "./skill-decision.ts";

const NAME_CHARACTERS_MAX = 200;

/** The endpoint itself, for events that concern none of its servers. */
export const GATEWAY_RESOURCE: ResourceRef = { type: "gateway", id: "gateway", name: "gateway" };

export interface AggregateFacts {
  readonly event: string;
  readonly time: number;
  readonly resource: ResourceRef;
  readonly sessionId?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly policies?: readonly DecidingPolicy[] | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** The event of a message that the gateway answers itself, before its outcome. */
export function toAggregateDraft({ snapshot, agent, ip, client }: SkillAsker, facts: AggregateFacts): DecisionDraft {
  const id = newId();
  const { policies } = facts;
  return {
    id,
    time: facts.time,
    actor: toActor({ snapshot, agent: agent.agent, ip, client }),
    action: facts.event,
    resource: facts.resource,
    policies: policies === undefined || policies.length === 0 ? undefined : policies,
    correlationId: facts.correlationId ?? id,
    sessionId: facts.sessionId,
    details: facts.details ?? {},
  };
}

interface UnsentCall {
  readonly context: GatewayContext;
  readonly connection: Pick<Connection, "sessionId">;
}

/** The event of a call that reaches no server, by the name that the caller chose. */
export function toUnsentCall(name: string, asker: SkillAsker, { context, connection }: UnsentCall): DecisionDraft {
  const shown = context.maskName(name).slice(0, NAME_CHARACTERS_MAX).toWellFormed();
  return toAggregateDraft(asker, {
    event: "tool.call",
    time: context.clock.now(),
    resource: { type: "tool", id: shown, name: shown },
    sessionId: connection.sessionId,
    details: { tool: shown },
  });
}
