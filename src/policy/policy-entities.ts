import type { Agent } from "../domain/agent.ts";
import type { Member } from "../domain/member.ts";
import type { Server, ServerTool } from "../domain/server.ts";
import { createSubject, createTarget, type Subject, type Target } from "./request.ts";

/** Who asks, for the evaluator: the agent and its acting member. */
export function toSubject({ id, name, type, groups }: Agent, member: Member | undefined): Subject {
  return createSubject({ agent: { id, name, type, groups }, member });
}

/**
 * A tool of a server, for the evaluator. Its traits are those of the definition that was accepted: a tool that nobody has
 * reviewed, or that has changed since, counts as destructive and not read-only, whatever it says of itself.
 */
export function toToolTarget(server: Server, name: string, tool: ServerTool | undefined): Target {
  const accepted = tool?.state === "approved" ? tool.definition.annotations : undefined;
  return createTarget({
    kind: "tool",
    server,
    name,
    destructive: toHint(accepted?.["destructiveHint"]),
    readOnly: toHint(accepted?.["readOnlyHint"]),
  });
}

/** MCP: a hint that is absent, or of another type, says nothing. */
function toHint(value: unknown): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}
