import type { DecisionDraft, ResourceRef } from "../../domain/audit-event.ts";
import { newId } from "../../lib/ids.ts";
import type { DecidingPolicy } from "../decide.ts";
import { toActor } from "../record.ts";
import type { SkillAsker } from "./skill-decision.ts";

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
