import type { Finding } from "../../domain/finding.ts";
import { GUARDIANS, isGuardian, type Role } from "../../domain/role.ts";

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
 * The operation that fixes a finding and succeeds as given for this role (contract section 4); undefined where the role may do nothing
 * about it. `isNameTaken` says which server names are gone.
 */
export function readyOperation(
  { id, fix }: Pick<Finding, "id" | "fix">,
  role: Role,
  isNameTaken: (name: string) => boolean,
): ReadyOperation | undefined {
  if (fix.kind === "register" && mayRegister(fix, role)) {
    const { url, transport, allowPrivateNetwork } = fix;
    const name = freeName(fix.name, isNameTaken);
    const exception = allowPrivateNetwork === undefined ? {} : { allowPrivateNetwork };
    return { tool: "create_mcp_server", arguments: { name, transport, url, ...exception } };
  }
  if (fix.kind === "call" && MAY_CALL[fix.tool]?.includes(role) === true) {
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
