import { mayConcernServer, mayConcernSubject } from "../policy/applies-to.ts";
import type { CompiledPolicy } from "../policy/compiled-policy.ts";
import type { PolicyIndex } from "../policy/policy-index.ts";
import { toSubject } from "../policy/policy-entities.ts";
import type { Member } from "../domain/member.ts";
import type { ServerTool } from "../domain/server.ts";
import type { Caller } from "./decide.ts";

/** Whether what the caller sees in lists may differ between the two: other rights of its own, or another rule in its scope. */
export function mayListOtherwise(before: Caller, after: Caller): boolean {
  if (before.snapshot === after.snapshot) return false;
  const isSame =
    before.assignment === after.assignment &&
    sameTools(before.server.toolByName, after.server.toolByName) &&
    before.agent.agent.groups.join(" ") === after.agent.agent.groups.join(" ") &&
    memberOf(before) === memberOf(after) &&
    grants(before) === grants(after);
  return (
    !isSame ||
    changedPolicies(before.snapshot.policies, after.snapshot.policies).some((policy) => isInScope(policy, after))
  );
}

function isInScope(policy: CompiledPolicy, caller: Caller): boolean {
  const subject = toSubject(caller.agent.agent, memberOf(caller));
  return mayConcernServer(policy, caller.server.server) && mayConcernSubject(policy, subject);
}

/** One change meets many open streams, so that what it changed is found out once. */
const changesByIndex = new WeakMap<PolicyIndex, { readonly before: PolicyIndex; readonly changed: CompiledPolicy[] }>();

function changedPolicies(before: PolicyIndex, after: PolicyIndex): readonly CompiledPolicy[] {
  if (before === after) return [];
  const known = changesByIndex.get(after);
  if (known?.before === before) return known.changed;
  const gone = [...before.policies.values()].filter(({ id }) => !after.policies.has(id));
  const changed = [
    ...gone,
    ...[...after.policies.values()].filter((policy) => before.policies.get(policy.id) !== policy),
  ];
  changesByIndex.set(after, { before, changed });
  return changed;
}

type Tools = ReadonlyMap<string, ServerTool>;

/** A server is loaded anew also when only its health was noted. */
function sameTools(before: Tools, after: Tools): boolean {
  if (before === after) return true;
  if (before.size !== after.size) return false;
  return [...after.values()].every(({ name, digest, state }) => {
    const known = before.get(name);
    return known?.digest === digest && known.state === state;
  });
}

function grants({ snapshot }: Caller): boolean {
  return snapshot.organization.settings.assignmentGrantsAccess;
}

function memberOf({ snapshot, agent }: Caller): Member | undefined {
  const { owner } = agent.agent;
  return owner === null ? undefined : snapshot.memberById.get(owner);
}
