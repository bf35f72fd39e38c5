import type { Finding } from "../../domain/finding.ts";
import type { Policy, ResourceFields } from "../../domain/policy.ts";
import type { Server } from "../../domain/server.ts";
import { mayConcernServer } from "../../policy/applies-to.ts";
import type { CompiledPolicy } from "../../policy/compiled-policy.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
import type { HandleContext } from "../context.ts";
import type { MergedFinding } from "./merge-findings.ts";
import { listAllPolicies } from "./scan-policies.ts";

type RecordContext = Pick<HandleContext, "repositories" | "record" | "now">;

/** A policy that forbids something, compiled once for all bypasses. */
interface Forbidding {
  readonly policy: Policy;
  readonly compiled: CompiledPolicy;
}

/**
 * Puts each bypass that is new on record, with the policies that it evades: what is recorded is what policies are counted from, so that it
 * counts once, however many scans see it. Findings may come in several parts; the policies are read with the first bypass.
 */
export function createBypassRecorder(context: RecordContext): (merged: readonly MergedFinding[]) => Promise<void> {
  let forbidding: readonly Forbidding[] | undefined;
  return async (merged) => {
    const bypasses = merged.filter(({ finding, change }) => change === "new" && finding.code === "BYPASS");
    if (bypasses.length === 0) return;
    forbidding ??= await listForbidding(context);
    for (const { finding } of bypasses) await recordBypass(finding, forbidding, context);
  };
}

async function listForbidding({ repositories, now }: RecordContext): Promise<readonly Forbidding[]> {
  const policies = await listAllPolicies(repositories);
  return policies
    .filter((policy) => forbids(policy, now))
    .map((policy) => ({ policy, compiled: toCompiledPolicy(policy) }));
}

async function recordBypass(
  { id, serverId, code, devices, users }: Finding,
  forbidding: readonly Forbidding[],
  { repositories, record }: RecordContext,
): Promise<void> {
  if (serverId === null || forbidding.length === 0) return;
  const server = await repositories.servers.find(serverId);
  if (server === undefined) return;
  const evaded = forbidding.filter((one) => governs(one, server)).map(({ policy }) => policy);
  if (evaded.length === 0) return;
  const resource = { type: "server", id: server.id, name: server.name };
  const policies = evaded.map(({ id: policyId, name }) => ({ id: policyId, name }));
  await record("finding.open", { resource, policies, details: { finding: id, code, devices, users } });
}

/** An `allow` is not violated by who does not ask. */
function forbids({ effect, mode, expiresAt }: Policy, now: number): boolean {
  return effect !== "allow" && mode !== "disabled" && (expiresAt === null || expiresAt > now);
}

/** By the scope alone: which agent stands behind a client that shows no agent key is unknown. */
function governs({ policy, compiled }: Forbidding, server: Server): boolean {
  const except = policy.rule?.resources.except;
  return mayConcernServer(compiled, server) && !(except !== undefined && spares(except, server));
}

function spares({ everything, servers, groups, tools }: ResourceFields, { id, groups: own }: Server): boolean {
  if (tools !== undefined) return false;
  return everything === true || servers?.includes(id) === true || groups?.some((group) => own.includes(group)) === true;
}
