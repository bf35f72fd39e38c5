import type { Finding } from "../../domain/finding.ts";
import { GUARDIANS, isGuardian, type Role } from "../../domain/role.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";

export interface ReadyOperation {
  readonly tool: string;
  readonly arguments: Record<string, unknown>;
}

/** Who may call what a finding can offer; the operations themselves check again. */
const MAY_CALL: Readonly<Record<string, readonly Role[]>> = {
  create_mcp_server: ["owner", "admin", "operator"],
  update_agent: ["owner", "admin", "security", "operator"],
  update_finding: GUARDIANS,
};

/**
 * The operation that fixes a finding and succeeds as given for this role (contract section 4) with what is registered now; undefined
 * where the role may do nothing about it, or nothing is left to do.
 */
export function readyOperation(
  { id, fix, status }: Pick<Finding, "id" | "fix" | "status">,
  role: Role,
  { serverIdByName, agentById }: Pick<Snapshot, "serverIdByName" | "agentById">,
): ReadyOperation | undefined {
  if (status === "resolved") return undefined;
  if (fix.kind === "register" && mayRegister(fix, role)) {
    const { url, transport, allowPrivateNetwork } = fix;
    const name = freeName(fix.name, (taken) => serverIdByName.has(taken));
    const exception = allowPrivateNetwork === undefined ? {} : { allowPrivateNetwork };
    return { tool: "create_mcp_server", arguments: { name, transport, url, ...exception } };
  }
  // The only calls that findings ask for are about agents, and one that is gone since the scan has nothing left to lose.
  const isTargetThere = fix.kind === "call" && agentById.has(String(fix.arguments["id"]));
  if (fix.kind === "call" && isTargetThere && MAY_CALL[fix.tool]?.includes(role) === true) {
    return { tool: fix.tool, arguments: { ...fix.arguments } };
  }
  if (MAY_CALL["update_finding"]?.includes(role) !== true) return undefined;
  return { tool: "update_finding", arguments: { id, status: "acknowledged" } };
}

function mayRegister(
  { allowPrivateNetwork }: { readonly allowPrivateNetwork?: true | undefined },
  role: Role,
): boolean {
  return (
    MAY_CALL["create_mcp_server"]?.includes(role) === true && (allowPrivateNetwork === undefined || isGuardian(role))
  );
}

function freeName(name: string, isNameTaken: (name: string) => boolean): string {
  if (!isNameTaken(name)) return name;
  for (let number = 2; ; number += 1) {
    const next = `${name.slice(0, 58)}-${number}`;
    if (!isNameTaken(next)) return next;
  }
}
