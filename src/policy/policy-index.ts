import type { CompiledPolicy } from "./compiled-policy.ts";
import type { PolicyRequest } from "./request.ts";

/** Stands for any principal or any resource. Not the key of an entity: those hold a quote. */
const ANY = "*";

type Buckets = ReadonlyMap<string, ReadonlyMap<string, readonly CompiledPolicy[]>>;

/** An immutable set of compiled policies, found by who asks and what for. */
export interface PolicyIndex {
  readonly policies: ReadonlyMap<string, CompiledPolicy>;
  readonly buckets: Buckets;
}

export function createPolicyIndex(policies: Iterable<CompiledPolicy>): PolicyIndex {
  const byId = new Map<string, CompiledPolicy>();
  const buckets = new Map<string, Map<string, CompiledPolicy[]>>();
  for (const policy of policies) {
    byId.set(policy.id, policy);
    for (const [principal, resource] of places(policy)) {
      const inner = buckets.get(principal) ?? new Map<string, CompiledPolicy[]>();
      buckets.set(principal, inner);
      const bucket = inner.get(resource) ?? [];
      inner.set(resource, bucket);
      bucket.push(policy);
    }
  }
  return { policies: byId, buckets };
}

/** The index with one policy added or replaced; the given index is unchanged and shares what did not change. */
export function withPolicy(index: PolicyIndex, policy: CompiledPolicy): PolicyIndex {
  const without = withoutPolicy(index, policy.id);
  const policies = new Map(without.policies).set(policy.id, policy);
  const buckets = changed(without.buckets, policy, (bucket) => [...bucket, policy]);
  return { policies, buckets };
}

/** The index without one policy; an id that names none changes nothing. */
export function withoutPolicy(index: PolicyIndex, id: string): PolicyIndex {
  const former = index.policies.get(id);
  if (former === undefined) return index;
  const policies = new Map(index.policies);
  policies.delete(id);
  const buckets = changed(index.buckets, former, (bucket) => bucket.filter((policy) => policy !== former));
  return { policies, buckets };
}

/** Calls `visit` for every policy that may match or fail on this request, for some policies more than once. */
export function visitCandidates(
  index: PolicyIndex,
  request: PolicyRequest,
  visit: (policy: CompiledPolicy) => void,
): void {
  const { buckets } = index;
  visitBuckets(buckets.get(ANY), request, visit);
  for (const principal of request.subject.keys) {
    const inner = buckets.get(principal);
    if (inner !== undefined) visitBuckets(inner, request, visit);
  }
}

function visitBuckets(
  inner: ReadonlyMap<string, readonly CompiledPolicy[]> | undefined,
  request: PolicyRequest,
  visit: (policy: CompiledPolicy) => void,
): void {
  if (inner === undefined) return;
  visitBucket(inner.get(ANY), request.action.key, visit);
  for (const resource of request.target.keys) visitBucket(inner.get(resource), request.action.key, visit);
}

function visitBucket(
  bucket: readonly CompiledPolicy[] | undefined,
  actionKey: string,
  visit: (policy: CompiledPolicy) => void,
): void {
  if (bucket === undefined) return;
  for (const policy of bucket) {
    if (policy.actions === undefined || policy.actions.has(actionKey)) visit(policy);
  }
}

function changed(
  buckets: Buckets,
  policy: CompiledPolicy,
  change: (bucket: readonly CompiledPolicy[]) => readonly CompiledPolicy[],
): Buckets {
  const copy = new Map<string, ReadonlyMap<string, readonly CompiledPolicy[]>>(buckets);
  for (const [principal, resource] of places(policy)) {
    const inner = new Map(copy.get(principal));
    const bucket = change(inner.get(resource) ?? []);
    if (bucket.length > 0) inner.set(resource, bucket);
    else inner.delete(resource);
    if (inner.size > 0) copy.set(principal, inner);
    else copy.delete(principal);
  }
  return copy;
}

function places(policy: CompiledPolicy): (readonly [string, string])[] {
  if (policy.mode === "disabled") return [];
  const { principal = [ANY], resource = [ANY] } = policy.keys;
  // A product of two long lists would be larger than what it saves.
  const principals = principal.length * resource.length > PLACES_MAX ? [ANY] : principal;
  return principals.flatMap((left) => resource.map((right) => [left, right] as const));
}

const PLACES_MAX = 10_000;
