import type { AuthFailureAggregator } from "./audit/auth-failures.ts";
import type { Authentication, AuthenticationRequest, FindKeyByHash } from "./auth/authenticate.ts";
import type { KeyUsage } from "./auth/key-usage.ts";
import type { ApiKey } from "./domain/api-key.ts";
import { isRoleWithin } from "./domain/role.ts";
import type { Clock } from "./lib/clock.ts";
import type { Caller } from "./operations/context.ts";
import type { LiveView } from "./snapshot/live-view.ts";

export interface ManagementAuthenticationOptions {
  readonly authenticate: (request: AuthenticationRequest, findKey: FindKeyByHash) => Authentication;
  readonly liveView: LiveView;
  readonly usage: KeyUsage;
  readonly failures: AuthFailureAggregator;
  readonly clock: Clock;
}

export interface ManagementRequest {
  readonly authorization: string | undefined;
  readonly ip: string | undefined;
  /** Self-declared by the client. */
  readonly client?: string | undefined;
}

/** Says who calls the management surfaces, by organization key; undefined where nobody is let in, which is counted. */
export function createManagementAuthentication(
  options: ManagementAuthenticationOptions,
): (request: ManagementRequest) => Caller | undefined {
  const { authenticate, liveView, usage, failures, clock } = options;
  return ({ authorization, ip, client }) => {
    const nowMs = clock.now();
    const snapshot = liveView.current;
    const result = authenticate({ authorization, ip, nowMs, kind: "organization" }, (hash) =>
      snapshot.keyByHash.get(hash),
    );
    const { key } = result;
    const reason = result.ok ? memberProblem(result.key, liveView) : result.reason;
    if (reason !== undefined || key === undefined || key.role === null) {
      failures.note({ ip, kind: reason ?? "wrong_kind", hint: key?.hint });
      return undefined;
    }
    usage.note(key.id, ip, nowMs);
    return {
      actor: { type: "key", id: key.id, name: key.name, ...onBehalfOf(key, liveView), ip, client },
      role: key.role,
      memberId: key.memberId,
    };
  };
}

/** A key does not outlive the rights of the member who answers for it. An invited member has not signed in yet, but may hold keys. */
function memberProblem({ memberId, role }: ApiKey, { current }: LiveView): string | undefined {
  if (memberId === null || role === null) return undefined;
  const member = current.memberById.get(memberId);
  if (member === undefined || member.status === "suspended") return "member_not_active";
  return isRoleWithin(role, member.role) ? undefined : "beyond_member_role";
}

function onBehalfOf({ memberId }: ApiKey, { current }: LiveView): Pick<Caller["actor"], "onBehalfOf"> {
  const member = memberId === null ? undefined : current.memberById.get(memberId);
  return member === undefined ? {} : { onBehalfOf: { id: member.id, name: member.name } };
}
