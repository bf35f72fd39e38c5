import { type ExpressionBuilder, type Transaction } from "kysely";
import type { AuditFilter } from "../../ports.ts";
import type { Database } from "../schema.ts";
import { toStoredText } from "./stored-text.ts";
import { agentsOf, containsText, holdsObject, startsWith } from "./matching.ts";

type Events = ExpressionBuilder<Database, "auditEvents">;

/** The columns that a filter compares as they are, by the name of the filter. */
const EXACT = ["actorType", "resourceType", "serverId", "agentId", "outcome", "correlationId", "sessionId"] as const;

/** The events that match the whole filter, without order. */
export function filteredEvents(db: Transaction<Database>, filter: AuditFilter) {
  const { from, to, actions, policyId, agentOwner } = filter;
  const [actor, resource, query] = [filter.actor, filter.resource, filter.query].map(storedForm);
  let events = db.selectFrom("auditEvents");
  if (from !== undefined) events = events.where("time", ">=", from);
  if (to !== undefined) events = events.where("time", "<=", to);
  for (const name of EXACT) {
    const value = filter[name];
    if (value !== undefined) events = events.where(name, "=", value);
  }
  if (agentOwner !== undefined) events = events.where("agentId", "in", agentsOf(db, agentOwner));
  if (actor !== undefined)
    events = events.where((eb) => eb.or([eb("actorId", "=", actor), eb("actorName", "=", actor)]));
  if (resource !== undefined) {
    events = events.where((eb) => eb.or([eb("resourceId", "=", resource), eb("resourceName", "=", resource)]));
  }
  if (actions !== undefined) events = events.where((eb) => eb.or(actions.map((action) => isAction(eb, action))));
  if (policyId !== undefined) events = events.where((eb) => holdsObject(eb.ref("policies"), policyId));
  if (query === undefined) return events;
  return events.where((eb) =>
    containsText([eb.ref("action"), eb.ref("actorName"), eb.ref("resourceName"), eb.ref("reason")], query),
  );
}

function isAction(eb: Events, action: string) {
  return action.endsWith(".") ? startsWith(eb.ref("action"), action) : eb("action", "=", action);
}

function storedForm(text: string | undefined): string | undefined {
  return text === undefined ? undefined : toStoredText(text);
}
