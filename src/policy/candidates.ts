import type { CompiledPolicy } from "./compiled-policy.ts";
import type { Code, Environment } from "./environment.ts";
import { type PolicyIndex, visitCandidates } from "./policy-index.ts";
import type { PolicyRequest, Subject, Target } from "./request.ts";
import { runCode } from "./run-code.ts";

/** A policy that may still match or fail, and what decides that. */
export interface Candidate {
  readonly policy: CompiledPolicy;
  readonly code: Code;
}

/** Lists and what they hold, about 8 bytes each and a few dozen a list; past this the cache starts anew. */
const KEPT_MAX = 500_000;
const LIST_WEIGHT = 32;

type ByAction = Map<string, readonly Candidate[]>;

/** What was found for a subject and a target that last, for the life of an index, which never changes. */
class CandidateCache {
  #lists = new WeakMap<Subject, WeakMap<Target, ByAction>>();
  #kept = 0;

  find({ subject, target, action }: PolicyRequest): readonly Candidate[] | undefined {
    return this.#lists.get(subject)?.get(target)?.get(action.key);
  }

  keep({ subject, target, action }: PolicyRequest, found: readonly Candidate[]): void {
    const weight = LIST_WEIGHT + found.length;
    if (this.#kept + weight > KEPT_MAX) {
      this.#lists = new WeakMap();
      this.#kept = 0;
    }
    this.#kept += weight;
    const ofSubject = this.#lists.get(subject) ?? new WeakMap<Target, ByAction>();
    this.#lists.set(subject, ofSubject);
    const ofTarget: ByAction = ofSubject.get(target) ?? new Map<string, readonly Candidate[]>();
    ofSubject.set(target, ofTarget);
    ofTarget.set(action.key, found);
  }
}

const caches = new WeakMap<PolicyIndex, CandidateCache>();

/**
 * The policies that this request may match or fail, each once. What does not depend on the message (who calls, what is called) is
 * decided once for each subject and target that last, so that a call costs only the conditions on its arguments and time.
 */
export function candidatesOf(
  index: PolicyIndex,
  request: PolicyRequest,
  environment: Environment,
): readonly Candidate[] {
  if (!request.target.isLasting) return findCandidates(index, request, environment);
  const cache = caches.get(index) ?? new CandidateCache();
  caches.set(index, cache);
  const known = cache.find(request);
  if (known !== undefined) return known;
  const found = findCandidates(index, request, environment);
  cache.keep(request, found);
  return found;
}

function findCandidates(index: PolicyIndex, request: PolicyRequest, environment: Environment): readonly Candidate[] {
  const found = new Map<CompiledPolicy, Candidate>();
  visitCandidates(index, request, (policy) => {
    if (found.has(policy)) return;
    const standing = runCode(policy.standing, environment);
    if (standing === false) return;
    found.set(policy, standing === true ? passingOf(policy) : { policy, code: () => standing });
  });
  return [...found.values()];
}

const ALWAYS: Code = () => true;

/** One for each policy, however many lists it is in. */
const passing = new WeakMap<CompiledPolicy, Candidate>();

function passingOf(policy: CompiledPolicy): Candidate {
  const known = passing.get(policy);
  if (known !== undefined) return known;
  const candidate = { policy, code: policy.passing ?? ALWAYS };
  passing.set(policy, candidate);
  return candidate;
}
