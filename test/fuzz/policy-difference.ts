import { createRequire } from "node:module";
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";
import { compilePolicy, type CompiledPolicy } from "../../src/policy/compiled-policy.ts";
import { couldAllow, decide } from "../../src/policy/decide.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { createPolicyIndex, type PolicyIndex } from "../../src/policy/policy-index.ts";
import { ruleToCedar } from "../../src/policy/rule-to-cedar.ts";
import { cedarRecord } from "../../src/policy/value.ts";
import { ACTIONS } from "../../src/domain/policy.ts";
import { Expressions, type Node } from "./policy-expressions.ts";
import { drawRule } from "./policy-rules.ts";
import { describe, drawRequest, drawWorld, type FuzzRequest, pathsOf, type World } from "./policy-world.ts";
import { createRandom, type Random } from "./random.ts";
import { shrink } from "./shrink.ts";

const cedar: typeof Cedar = createRequire(import.meta.url)("@cedar-policy/cedar-wasm/nodejs");

const POLICIES_PER_BATCH = 6;
const REQUESTS_PER_BATCH = 20;

export interface FuzzReport {
  readonly cases: number;
  /** How often a policy matched or failed: a run in which nothing happens proves nothing. */
  readonly satisfied: number;
  readonly failed: number;
  readonly difference?: string;
}

/** What both engines must agree on. */
interface Answer {
  readonly decision: string;
  readonly reason: readonly string[];
  readonly errors: readonly string[];
}

/** Compares `cases` decisions of our evaluator with the Cedar library's; stops at the first difference, made minimal. */
export function fuzzPolicies(seed: number, cases: number): FuzzReport {
  let done = 0;
  let satisfied = 0;
  let failed = 0;
  for (let batch = 0; done < cases; batch += 1) {
    const random = createRandom(seed + batch * 7919);
    const place = `seed ${seed}, batch ${batch}`;
    const world = drawWorld(random);
    const requests = Array.from({ length: REQUESTS_PER_BATCH }, () => drawRequest(random, world));
    const policies = Array.from({ length: POLICIES_PER_BATCH }, () => drawPolicy(random, requests));
    const compiled = policies.map(compileNumbered);
    const index = createPolicyIndex(compiled);
    preparse(policies);
    for (const request of requests) {
      const ours = ourAnswer(index, request);
      const theirs = cedarAnswer(world, request);
      if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
        return { cases: done, satisfied, failed, difference: `${place}:\n${minimize(policies, request, world)}` };
      }
      const hidden = hiddenThoughAllowed(index, request);
      if (hidden) return { cases: done, satisfied, failed, difference: `${place}: a list hides what a call may do` };
      done += 1;
      satisfied += ours.reason.length;
      failed += ours.errors.length;
    }
  }
  return { cases: done, satisfied, failed };
}

/** Lists may show too much, never too little: they know less than the call does. */
function hiddenThoughAllowed(index: PolicyIndex, { ours }: FuzzRequest): boolean {
  return SETTINGS.some(
    (settings) => decide(index, ours, settings).decision !== "deny" && !couldAllow(index, ours, settings),
  );
}

const SETTINGS = [{ assignmentGrantsAccess: true }, { assignmentGrantsAccess: false }];

function drawPolicy(random: Random, requests: readonly FuzzRequest[]): Cedar.PolicyJson {
  if (random.chance(0.35)) {
    const answer = cedar.policyToJson(ruleToCedar(drawRule(random)));
    if (answer.type === "failure") throw new Error(`a rule became bad Cedar: ${JSON.stringify(answer.errors)}`);
    return answer.json;
  }
  const expressions = new Expressions(random, pathsOf(random.pick(requests)));
  const json = {
    effect: random.pick(["permit", "forbid"]),
    principal: drawScope(random, expressions),
    action: drawActionScope(random),
    resource: drawScope(random, expressions),
    conditions: [0, 0, 0].slice(random.below(3)).map(() => ({
      kind: random.chance(0.8) ? "when" : "unless",
      body: expressions.draw("boolean", 1 + random.below(4)),
    })),
  };
  return toPolicyJson(json);
}

function drawScope(random: Random, expressions: Expressions): Node {
  const entity = (): unknown => {
    const { Value: literal } = expressions.entity();
    return literal;
  };
  return random.pick<() => Node>([
    () => ({ op: "All" }),
    () => ({ op: "All" }),
    () => ({ op: "All" }),
    () => ({ op: "All" }),
    () => ({ op: "All" }),
    () => ({ op: "All" }),
    () => ({ op: "==", entity: entity() }),
    () => ({ op: "in", entity: entity() }),
    () => ({ op: "is", entity_type: random.pick(["Runlayer::Agent", "Runlayer::Tool"]) }),
    () => ({ op: "is", entity_type: random.pick(["Runlayer::Agent", "Runlayer::Tool"]), in: { entity: entity() } }),
  ])();
}

function drawActionScope(random: Random): Node {
  const action = (): Node => ({ type: "Runlayer::Action", id: random.pick(ACTIONS.slice(0, 3)) });
  if (random.chance(0.6)) return { op: "All" };
  return random.chance(0.5) ? { op: "==", entity: action() } : { op: "in", entities: [action(), action()] };
}

function compileNumbered(ast: Cedar.PolicyJson, number: number): CompiledPolicy {
  const effect = ast.effect === "permit" ? "allow" : "deny";
  return compilePolicy({ id: `p${number}`, name: `p${number}`, mode: "enforce", effect, ast });
}

function preparse(policies: readonly Cedar.PolicyJson[]): void {
  const staticPolicies = Object.fromEntries(policies.map((policy, number) => [`p${number}`, policy]));
  const answer = cedar.preparsePolicySet("fuzz", { staticPolicies });
  if (answer.type === "failure") throw new Error(`bad policies: ${JSON.stringify(answer.errors).slice(0, 2000)}`);
}

function ourAnswer(index: PolicyIndex, { ours }: FuzzRequest): Answer {
  // Of another message first: what is kept of a subject and a target must hold whatever the message says.
  evaluate(index, { ...ours, context: cedarRecord(new Map()) });
  const { satisfied, failed } = evaluate(index, ours);
  const permits = satisfied.filter(({ effect }) => effect === "allow");
  const forbids = satisfied.filter(({ effect }) => effect !== "allow");
  const isAllowed = permits.length > 0 && forbids.length === 0;
  const reason = isAllowed ? permits : forbids;
  return { decision: isAllowed ? "allow" : "deny", reason: idsOf(reason), errors: idsOf(failed) };
}

function cedarAnswer(world: World, { ours, context }: FuzzRequest): Answer {
  const answer = cedar.statefulIsAuthorized({
    principal: { type: ours.subject.uid.type, id: ours.subject.uid.id },
    action: { type: ours.action.type, id: ours.action.id },
    resource: { type: ours.target.uid.type, id: ours.target.uid.id },
    context: Object.fromEntries(Object.entries(context ?? {})),
    entities: [...world.entities],
    preparsedPolicySetId: "fuzz",
  });
  if (answer.type === "failure") throw new Error(`bad request: ${JSON.stringify(answer.errors).slice(0, 2000)}`);
  const { decision, diagnostics } = answer.response;
  return {
    decision,
    reason: diagnostics.reason.toSorted(),
    errors: diagnostics.errors.map(({ policyId }) => policyId).toSorted(),
  };
}

/** The smallest single policy on which the engines still differ, with its request, as text. */
function minimize(policies: readonly Cedar.PolicyJson[], request: FuzzRequest, world: World): string {
  const answers = (policy: unknown): readonly [Answer, Answer] => {
    const json = toPolicyJson(policy);
    preparse([json]);
    return [ourAnswer(createPolicyIndex([compileNumbered(json, 0)]), request), cedarAnswer(world, request)];
  };
  const differs = (policy: unknown): boolean => {
    const [ours, theirs] = answers(policy);
    return JSON.stringify(ours) !== JSON.stringify(theirs);
  };
  const culprit = policies.find(differs);
  if (culprit === undefined) return "the engines differ on the set only";
  const smallest = shrink(culprit, differs);
  const [ours, theirs] = answers(smallest);
  const facts = { policy: smallest, request: describe(request), ours, cedar: theirs, entities: world.entities };
  return JSON.stringify(facts, undefined, 1);
}

function idsOf(policies: readonly CompiledPolicy[]): string[] {
  return policies.map(({ id }) => id).toSorted();
}

function toPolicyJson(value: unknown): Cedar.PolicyJson {
  const parsed: Cedar.PolicyJson = JSON.parse(JSON.stringify(value));
  return parsed;
}
