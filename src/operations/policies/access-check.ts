import type { Decision } from "../../policy/decide.ts";
import { couldAllowMessage, decideMessage, type Message } from "../../policy/decide-message.ts";
import type { ReplayRules } from "../../policy/replay.ts";
import type { AgentView, ServerView, Snapshot } from "../../snapshot/snapshot.ts";
import { type Sending, toMessage } from "../../snapshot/to-message.ts";

/** One tool of one server for one agent. */
export interface ToolAccess {
  readonly agent: AgentView;
  readonly server: ServerView;
  readonly tool: string;
}

/** When and how a call is made. */
export interface Moment {
  readonly snapshot: Snapshot;
  readonly now: number;
  /** Arguments, address, client and time; otherwise a call without arguments now. */
  readonly given?: Partial<Sending> | undefined;
}

/**
 * `allowed`, `denied` or `approval` say what happens to a call without arguments now; `conditional`: denied, but some
 * arguments or another time could pass.
 */
export interface AccessAnswer {
  readonly access: "allowed" | "denied" | "approval" | "conditional";
  readonly reason: Decision["reason"] | "not_assigned" | "agent_suspended" | "server_unavailable";
  readonly policies: Decision["policies"];
}

/** What an agent may do with a tool now, and why: the rows of the decision table in their order. */
export function checkAccess(
  { agent, server, tool }: ToolAccess,
  { rules, ...at }: Moment & { readonly rules: ReplayRules },
): AccessAnswer {
  const denied = (reason: AccessAnswer["reason"]): AccessAnswer => ({ access: "denied", reason, policies: [] });
  if (agent.agent.status !== "active") return denied("agent_suspended");
  const assignment = agent.assignmentByServerId.get(server.server.id);
  if (assignment === undefined) return denied("not_assigned");
  if (server.server.status !== "active") return denied("server_unavailable");
  if (!assignment.isToolAssigned(tool)) return denied("not_assigned");
  const message = toToolMessage({ agent, server, tool }, at);
  const { decision, reason, policies } = decideMessage(rules.index, message, rules.settings);
  if (decision === "allow") return { access: "allowed", reason, policies };
  if (decision === "held") return { access: "approval", reason, policies };
  const isOpen = couldAllowMessage(rules.index, message, rules.settings);
  return { access: isOpen ? "conditional" : "denied", reason, policies };
}

/** The rules that decide now. */
export function currentRules({ policies, organization }: Snapshot): ReplayRules {
  return { index: policies, settings: organization.settings };
}

/** A call of a tool as the evaluator sees it. */
export function toToolMessage({ agent, server, tool }: ToolAccess, { snapshot, now, given }: Moment): Message {
  const asked = { action: "call_tool", target: { type: "tool", name: tool } } as const;
  return toMessage({ snapshot, agent, server }, asked, { nowMs: now, ...given });
}

/** The tools of a server that the agent's assignment lets through. */
export function assignedTools(agent: AgentView, server: ServerView): string[] {
  const assignment = agent.assignmentByServerId.get(server.server.id);
  if (assignment === undefined) return [];
  return [...server.toolByName.keys()].filter((name) => assignment.isToolAssigned(name));
}

/** Stands for any tool of a server that has not shown its tools yet. */
const ANY_TOOL = "any";

/** Every tool that one of the agents is assigned on one of the servers, agent by agent. */
export function* accessOf(agents: readonly AgentView[], servers: readonly ServerView[]): Iterable<ToolAccess> {
  for (const agent of agents) {
    for (const server of servers.filter((view) => agent.assignmentByServerId.has(view.server.id))) {
      const tools = assignedTools(agent, server);
      yield* (tools.length === 0 ? [ANY_TOOL] : tools).map((tool) => ({ agent, server, tool }));
    }
  }
}
