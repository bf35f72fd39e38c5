import { z } from "zod";
import { ACTOR_TYPES, OUTCOMES } from "../../domain/audit-event.ts";
import { notFound, POLICY } from "../../domain/not-found.ts";
import { READERS } from "../../domain/role.ts";
import { isUuid } from "../../lib/ids.ts";
import { ownerSeen } from "../agents/own-agents.ts";
import { getVisibleAgent } from "../agents/visible-agent.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, RefField, text, TimeField, toPageAnswer, toPageRequest } from "../fields.ts";
import { getVisibleServer } from "../servers/visible-server.ts";
import { AuditEventOutput, AuditGroupOutput, showAuditEvent, showAuditGroup } from "./event-output.ts";

const Action = z
  .string()
  .regex(/^[a-z]+(?:\.[a-z_]+)*\.?$/i, "must be an action such as `tool.call` or a prefix such as `tool.`");

const Input = z.object({
  from: TimeField.optional().describe("First time, RFC 3339"),
  to: TimeField.optional().describe("Last time, RFC 3339"),
  actor: text(254).optional().describe("Who did it, by id or name"),
  actorType: z.enum(ACTOR_TYPES).optional().describe("What kind of caller did it"),
  action: z
    .union([Action, z.array(Action).min(1).max(50)])
    .optional()
    .describe("Actions, or prefixes that end with a dot"),
  resource: text(512).optional().describe("What it was done to, by id or name"),
  resourceType: text(64).optional().describe("Kind of the resource, such as `server`, `agent`, `apiKey`, `tool`"),
  server: RefField.optional().describe("Events of this server and its tools; a deleted one by its id"),
  agent: RefField.optional().describe("Events of this agent; a deleted one by its id"),
  outcome: z.enum(OUTCOMES).optional().describe("How it ended"),
  policy: RefField.optional().describe("Events that this policy decided; a deleted one by its id"),
  correlationId: text(200).optional().describe("Events that belong to one call"),
  sessionId: text(200).optional().describe("Events of one session"),
  query: text(200).min(1).optional().describe("Part of action, actor, resource or reason"),
  groupBy: z.enum(["actor", "action", "resource"]).optional().describe("Answer counts by this instead of events"),
  order: z.enum(["asc", "desc"]).optional().describe("`asc`, the oldest first, unless told"),
  ...pageInput,
});

type Input = z.output<typeof Input>;

/** What happened, in order. */
export const getAuditLogs = defineOperation({
  name: "get_audit_logs",
  title: "Get audit logs",
  description:
    "Lists audit events in order: every management change and every decided message of the gateway, with who, what, on which resource and how it ended. `groupBy` answers counts by actor, action or resource instead: an access review in one call.",
  route: "GET /audit-events",
  command: "audit list",
  roles: [...READERS, "member"],
  effect: "read",
  input: Input,
  output: z.object({
    items: z.array(AuditEventOutput).optional(),
    groups: z.array(AuditGroupOutput).optional(),
    total: z.int(),
    totalIsLowerBound: z.literal(true).optional(),
    nextCursor: z.string().optional(),
  }),
  async prepare(input, { services }) {
    // What was answered before this call is in the answer of this call.
    await services.flushAudit();
    return (context) => answer(input, context);
  },
  summarize: ({ items, groups, total }) =>
    groups === undefined ? `${items?.length ?? 0} of ${total} events.` : `${groups.length} of ${total} groups.`,
});

async function answer(input: Input, context: HandleContext) {
  const { audit } = context.repositories;
  const filter = await toFilter(input, context);
  const page = toPageRequest(input);
  if (input.groupBy === undefined) {
    return toPageAnswer(await audit.list(filter, { ...page, order: input.order ?? "asc" }), showAuditEvent);
  }
  const { groupBy } = input;
  const found = await audit.group(filter, groupBy, page);
  const shown = await Promise.all(found.items.map((group) => showAuditGroup(group, { ...context, groupBy })));
  const { items, ...rest } = toPageAnswer({ ...found, items: shown }, (group) => group);
  return { ...rest, groups: items };
}

async function toFilter(input: Input, context: HandleContext) {
  const { from, to, actor, actorType, action, resource, resourceType, outcome, correlationId, sessionId, query } =
    input;
  const actions = typeof action === "string" ? [action] : action;
  const serverId = await idOf(input.server, async (name) => (await getVisibleServer(name, context)).id);
  const agentId = await idOf(input.agent, async (name) => (await getVisibleAgent(name, context)).id);
  const policyId = await idOf(input.policy, (name) => visiblePolicyId(name, context));
  return {
    from,
    to,
    actor,
    actorType,
    actions,
    resource,
    resourceType,
    outcome,
    correlationId,
    sessionId,
    query,
    serverId,
    agentId,
    agentOwner: ownerSeen(context.caller),
    policyId,
  };
}

/** The id of what is named. An id stands for itself: of what was deleted nothing else is left. */
async function idOf(ref: string | undefined, find: (name: string) => Promise<string>): Promise<string | undefined> {
  return ref === undefined || isUuid(ref) ? ref : find(ref);
}

/** For a `member`, only policies that decided something of its own agents exist. */
async function visiblePolicyId(name: string, { repositories, caller }: HandleContext): Promise<string> {
  const { id } = await repositories.policies.get(name);
  const agentOwner = ownerSeen(caller);
  if (agentOwner === undefined) return id;
  const { items } = await repositories.audit.list({ policyId: id, agentOwner }, { limit: 1, order: "desc" });
  if (items.length > 0) return id;
  throw notFound(POLICY, name);
}
