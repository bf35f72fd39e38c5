import type { Member } from "../domain/member.ts";
import type { Action } from "../domain/policy.ts";
import type { Message } from "../policy/decide-message.ts";
import { localTimeIn } from "../policy/local-time-in.ts";
import { toSubject } from "../policy/policy-entities.ts";
import { createPolicyRequest, type PolicyRequest, type Subject } from "../policy/request.ts";
import type { Circumstances } from "../policy/request-context.ts";
import { type MessageTarget, targetOf } from "./policy-targets.ts";
import type { AgentView, ServerView, Snapshot } from "./snapshot.ts";

/** Who sends a message to which server, as of one snapshot. */
interface Route {
  readonly snapshot: Snapshot;
  readonly agent: AgentView;
  readonly server: ServerView;
}

interface Asked {
  readonly action: Action;
  readonly target: MessageTarget;
  readonly isFollowUp?: boolean | undefined;
}

/** When and how a message is sent; the local time follows from it. */
export type Sending = Omit<Circumstances, "minuteOfDay" | "weekday">;

/** What a message asks of the policies. */
export function toMessage(route: Route, asked: Asked, sending: Sending): Message {
  const request = toPolicyRequest(route, asked, sending);
  if (asked.action === "connect") return { request };
  const { nowMs, ip, client } = sending;
  const target = { type: "server", name: route.server.server.name } as const;
  const connect = toPolicyRequest(route, { action: "connect", target }, { nowMs, ip, client });
  return { request, connect, isFollowUp: asked.isFollowUp };
}

/** The part of it about its own action and target alone. */
export function toPolicyRequest(
  { snapshot, agent, server }: Route,
  { action, target }: Asked,
  { nowMs, args, ip, client }: Sending,
): PolicyRequest {
  const { owner } = agent.agent;
  const subject = subjectOf(agent, owner === null ? undefined : snapshot.memberById.get(owner));
  const { minuteOfDay, weekday } = localTimeIn(snapshot.organization.settings.timeZone, nowMs);
  const circumstances = { args, ip, client, nowMs, minuteOfDay, weekday };
  return createPolicyRequest({ subject, target: targetOf(server, target) }, action, circumstances);
}

const subjects = new WeakMap<AgentView, { readonly member: Member | undefined; readonly subject: Subject }>();

function subjectOf(view: AgentView, member: Member | undefined): Subject {
  const known = subjects.get(view);
  if (known !== undefined && known.member === member) return known.subject;
  const subject = toSubject(view.agent, member);
  subjects.set(view, { member, subject });
  return subject;
}
