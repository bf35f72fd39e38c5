import type { Policy } from "../../domain/policy.ts";
import { namesScope } from "../../policy/applies-to.ts";
import { cutsOffEveryAgent } from "../../policy/cut-off.ts";
import type { Message } from "../../policy/decide-message.ts";
import { isJsonObject } from "../../policy/json-tree.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
import type { HandleContext } from "../context.ts";
import { accessOf, toToolMessage } from "./access-check.ts";
import { type PolicyStep, toChange } from "./policy-change.ts";
import type { PolicyChange } from "./policy-impact.ts";

/** Calls that are looked at for one that still passes; a rule that stopped all of these is taken to stop the others, too. */
const CALLS_CHECKED_MAX = 20_000;

/**
 * Whether a policy would cut off every agent, as a rule without limits does also where there are no agents yet: such a one needs
 * `confirm`. Whoever names senders, servers or tools says what is cut off, also where there are no others.
 */
export function needsConfirmation(
  { before, after }: PolicyStep,
  { services, now }: Pick<HandleContext, "services" | "now">,
): boolean {
  if (after === undefined || after.effect !== "deny" || after.mode !== "enforce") return false;
  if (isWithoutLimits(after.ast)) return true;
  if (saysWhat(after)) return false;
  const change = toChange({ before, after }, { snapshot: services.snapshot(), now });
  return cutsOffEveryAgent(assignedCalls(change), change);
}

function saysWhat(policy: Policy): boolean {
  const tools = policy.rule?.resources.tools ?? [];
  const namesTools = tools.length > 0 && !tools.some((glob) => EVERY_TOOL.test(glob));
  return namesTools || namesScope(toCompiledPolicy(policy));
}

const EVERY_TOOL = /^[*/]+$/;

function isWithoutLimits(ast: unknown): boolean {
  if (!isJsonObject(ast)) return false;
  const { principal, action, resource, conditions } = ast;
  return [principal, action, resource].every(isAll) && Array.isArray(conditions) && conditions.length === 0;
}

function isAll(scope: unknown): boolean {
  return isJsonObject(scope) && scope["op"] === "All";
}

/** What agents that are active could call on servers that are, policies apart. */
function* assignedCalls({ snapshot, now }: PolicyChange): Iterable<Message> {
  const agents = [...snapshot.agentById.values()].filter(({ agent }) => agent.status === "active");
  const servers = [...snapshot.serverById.values()].filter(({ server }) => server.status === "active");
  let checked = 0;
  for (const access of accessOf(agents, servers)) {
    checked += 1;
    if (checked > CALLS_CHECKED_MAX) return;
    yield toToolMessage(access, { snapshot, now });
  }
}
