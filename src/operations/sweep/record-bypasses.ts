import type { Policy, ResourceFields } from "../../domain/policy.ts";
import type { Server } from "../../domain/server.ts";
import { mayConcernServer } from "../../policy/applies-to.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
import type { HandleContext } from "../context.ts";
import type { MergedFinding } from "./merge-findings.ts";
import { listAllPolicies } from "./scan-policies.ts";

type RecordContext = Pick<HandleContext, "repositories" | "record" | "now">;

/**
 * Puts each bypass that is new on record, with the policies that it evades: what is recorded is what policies are counted from, so that it
 * counts once, however many scans see it.
 */
export async function recordNewBypasses(merged: readonly MergedFinding[], context: RecordContext): Promise<void> {
  const bypasses = merged.filter(({ finding, change }) => change === "new" && finding.code === "BYPASS");
  if (bypasses.length === 0) return;
  const { repositories, record, now } = context;
  const policies = (await listAllPolicies(repositories)).filter((policy) => forbids(policy, now));
  for (const { finding } of bypasses) {
    const server = finding.serverId === null ? undefined : await repositories.servers.find(finding.serverId);
    if (server === undefined) continue;
    const evaded = policies.filter((policy) => governs(policy, server)).map(({ id, name }) => ({ id, name }));
    if (evaded.length === 0) continue;
    const { id, code, devices, users } = finding;
    const resource = { type: "server", id: server.id, name: server.name };
    await record("finding.open", { resource, policies: evaded, details: { finding: id, code, devices, users } });
  }
}

/** An `allow` is not violated by who does not ask. */
function forbids({ effect, mode, expiresAt }: Policy, now: number): boolean {
  return effect !== "allow" && mode !== "disabled" && (expiresAt === null || expiresAt > now);
}

/** By the scope alone: which agent stands behind a client that shows no agent key is unknown. */
function governs(policy: Policy, server: Server): boolean {
  const except = policy.rule?.resources.except;
  return mayConcernServer(toCompiledPolicy(policy), server) && !(except !== undefined && spares(except, server));
}

function spares({ everything, servers, groups, tools }: ResourceFields, { id, groups: own }: Server): boolean {
  if (tools !== undefined) return false;
  return everything === true || servers?.includes(id) === true || groups?.some((group) => own.includes(group)) === true;
}
