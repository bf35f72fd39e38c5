import type { CompiledPolicy } from "./compiled-policy.ts";
import type { EntityFacts, Environment } from "./environment.ts";
import { UNKNOWN } from "./operators.ts";
import { type PolicyIndex, visitCandidates } from "./policy-index.ts";
import type { PolicyRequest } from "./request.ts";
import { type CedarRecord, failure, type Result } from "./value.ts";

export interface Evaluation {
  readonly satisfied: readonly CompiledPolicy[];
  readonly failed: readonly CompiledPolicy[];
}

/** Cedar's own evaluation, before any fail-closed step: which policies are satisfied and which fail, each at most once. */
export function evaluate(index: PolicyIndex, request: PolicyRequest): Evaluation {
  const environment = toEnvironment(request, false);
  const satisfied: CompiledPolicy[] = [];
  const failed: CompiledPolicy[] = [];
  visitCandidates(index, request, (policy) => {
    if (isExpired(policy, request.nowMs)) return;
    const result = run(policy, environment);
    if (result === false) return;
    const found = result === true ? satisfied : failed;
    if (!found.includes(policy)) found.push(policy);
  });
  return { satisfied, failed };
}

/** The members of the context that a partial evaluation takes as unknown. */
export type OpenMembers = ReadonlySet<string>;

/** What a list cannot know: the arguments and the time of a later call. */
export const OPEN_IN_LISTS: OpenMembers = new Set(["args", "kinds", "time", "weekday", "now"]);

/** What a record without its arguments cannot tell. */
export const OPEN_IN_RECORDS: OpenMembers = new Set(["args", "kinds"]);

/** Calls `visit` with what each policy in scope says while some members of the context are unknown; a policy may come twice. */
export function evaluatePartially(
  index: PolicyIndex,
  { request, open }: { readonly request: PolicyRequest; readonly open: OpenMembers },
  visit: (policy: CompiledPolicy, result: Result) => void,
): void {
  const { context } = request;
  const get: CedarRecord["get"] = (name) => (open.has(name) ? UNKNOWN : context.get(name));
  const environment = toEnvironment({ ...request, context: { ...context, get } }, true);
  visitCandidates(index, request, (policy) => {
    if (!isExpired(policy, request.nowMs)) visit(policy, run(policy, environment));
  });
}

const TOO_DEEP = failure("the arguments nest too deeply to be compared");

/** Values nest as deep as a client likes: comparing two of them may exhaust the stack, which fails the policy only. */
function run(policy: CompiledPolicy, environment: Environment): Result {
  try {
    return policy.matches(environment);
  } catch (error) {
    if (error instanceof RangeError) return TOO_DEEP;
    throw error;
  }
}

function isExpired(policy: CompiledPolicy, nowMs: number): boolean {
  return policy.expiresAtMs !== undefined && policy.expiresAtMs <= nowMs;
}

function toEnvironment(request: PolicyRequest, isPartial: boolean): Environment {
  const { subject, target, action, context } = request;
  return {
    principal: subject.uid,
    resource: target.uid,
    action,
    context,
    factsOf: (key) => findFacts(target.entities, key) ?? findFacts(subject.entities, key),
    isPartial,
  };
}

/** There are at most two entities on each side: a scan beats a map. */
function findFacts(entities: readonly EntityFacts[], key: string): EntityFacts | undefined {
  for (const facts of entities) {
    if (facts.uid.key === key) return facts;
  }
  return undefined;
}
