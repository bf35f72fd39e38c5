import { candidatesOf } from "./candidates.ts";
import type { CompiledPolicy } from "./compiled-policy.ts";
import type { EntityFacts, Environment } from "./environment.ts";
import { UNKNOWN } from "./operators.ts";
import { type PolicyIndex, visitCandidates } from "./policy-index.ts";
import type { PolicyRequest } from "./request.ts";
import { runCode } from "./run-code.ts";
import type { CedarRecord, Result } from "./value.ts";

export interface Evaluation {
  readonly satisfied: readonly CompiledPolicy[];
  readonly failed: readonly CompiledPolicy[];
}

/** Cedar's own evaluation, before any fail-closed step: which policies are satisfied and which fail, each at most once. */
export function evaluate(index: PolicyIndex, request: PolicyRequest): Evaluation {
  const environment = toEnvironment(request, false);
  const satisfied: CompiledPolicy[] = [];
  const failed: CompiledPolicy[] = [];
  for (const { policy, code } of candidatesOf(index, request, environment)) {
    if (isExpired(policy, request.nowMs)) continue;
    const result = runCode(code, environment);
    if (result === true) satisfied.push(policy);
    else if (result !== false) failed.push(policy);
  }
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
  const environment = toEnvironment(
    { ...request, context: { kind: "record", get, names: () => context.names() } },
    true,
  );
  visitCandidates(index, request, (policy) => {
    if (!isExpired(policy, request.nowMs)) visit(policy, runCode(policy.matches, environment));
  });
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
