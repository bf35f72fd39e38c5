import {
  CONDITION_OPERATORS,
  type PolicyCondition,
  type PolicyRule,
  type PrincipalFields,
  type ResourceFields,
} from "../../src/policy/rule.ts";
import { AppError } from "../../src/lib/errors.ts";
import { conditionToCedar } from "../../src/policy/condition-to-cedar.ts";
import { IDS, LONGS, NAMES, STRINGS } from "./policy-expressions.ts";
import type { Random } from "./random.ts";

/** A structured rule as an administrator may write it, about the entities that requests draw from. */
export function drawRule(random: Random): PolicyRule {
  return {
    effect: random.pick(["allow", "deny", "require_approval"]),
    principals: { ...drawPrincipals(random), ...(random.chance(0.3) ? { except: drawPrincipals(random) } : {}) },
    resources: { ...drawResources(random), ...(random.chance(0.3) ? { except: drawResources(random) } : {}) },
    actions: random.chance(0.5) ? ["any"] : ["call_tool", "read_resource"],
    conditions: random.list(3, () => drawCondition(random)),
  };
}

function drawPrincipals(random: Random): PrincipalFields {
  if (random.chance(0.4)) return { everyone: true };
  return {
    agents: [random.pick(IDS)],
    groups: random.list(2, () => random.pick(IDS)),
    members: random.list(1, () => random.pick(IDS)),
  };
}

function drawResources(random: Random): ResourceFields {
  if (random.chance(0.5)) return { everything: true };
  return {
    servers: [random.pick(IDS), ...random.list(2, () => random.pick(IDS))],
    skills: random.list(1, () => random.pick(IDS)),
  };
}

const FIELDS = ["context.ip", "context.time", "context.weekday", "context.client"];

/** Draws until operator and value fit the field: what does not fit is refused when it is written. */
function drawCondition(random: Random): PolicyCondition {
  for (;;) {
    const path = [random.pick(NAMES), ...random.list(1, () => random.pick(NAMES))].map((name) => JSON.stringify(name));
    const field = random.chance(0.7) ? `args.${path.join(".")}` : random.pick(FIELDS);
    const condition = { field, operator: random.pick(CONDITION_OPERATORS), value: drawValue(random) };
    if (isWritable(condition)) return condition;
  }
}

function drawValue(random: Random): unknown {
  const one = random.pick<() => unknown>([
    () => random.pick(STRINGS),
    () => random.pick(LONGS),
    () => random.pick([1.5, -0.25, 99.5]),
    () => random.chance(0.5),
    () => null,
    () => random.pick(["10.0.0.0/8", "::1", "08:30", "23:59", "monday", "sun"]),
  ]);
  return random.chance(0.3) ? [one(), one()] : one();
}

function isWritable(condition: PolicyCondition): boolean {
  try {
    conditionToCedar(condition);
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
