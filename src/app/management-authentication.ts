import type { AuthFailureAggregator } from "../audit/auth-failures.ts";
import { claimedKeyKind } from "../auth/api-key-format.ts";
import { readBearer } from "../auth/authenticate.ts";
import type { Authentication, AuthenticationRequest, FindKeyByHash } from "../auth/authenticate.ts";
import { checkMember } from "../auth/check-member.ts";
import type { KeyUsage } from "../auth/key-usage.ts";
import type { ApiKey } from "../domain/api-key.ts";
import type { Role } from "../domain/role.ts";
import type { Clock } from "../lib/clock.ts";
import type { Caller } from "../operations/context.ts";
import type { LiveView } from "../snapshot/live-view.ts";
import type { Authenticate } from "../surfaces/authentication.ts";

export interface ManagementAuthenticationOptions {
  readonly authenticate: (request: AuthenticationRequest, findKey: FindKeyByHash) => Authentication;
  readonly liveView: LiveView;
  readonly usage: KeyUsage;
  readonly failures: AuthFailureAggregator;
  readonly clock: Clock;
}

/** Says who calls the management surfaces, by organization or device key, from memory. A refusal is counted, a use too. */
export function createManagementAuthentication(options: ManagementAuthenticationOptions): Authenticate {
  const { authenticate, liveView, usage, failures, clock } = options;
  return (request) => {
    const nowMs = clock.now();
    const snapshot = liveView.current;
    // What could not be read may have ended this very key.
    if (snapshot.isBehind) return { ok: false, reason: "unavailable" };
    const kind = isDeviceKey(request.authorization) ? "device" : request.kind;
    const result = authenticate({ ...request, kind, nowMs }, (hash) => snapshot.keyByHash.get(hash));
    const checked = result.ok ? checkMember(result.key, snapshot) : result;
    if (!checked.ok) {
      failures.note({ ip: request.ip, kind: checked.reason, hint: checked.key?.hint });
      if (checked.key !== undefined) usage.noteDenied(checked.key.id, nowMs);
      return { ok: false, reason: checked.reason };
    }
    const { key, role } = checked;
    usage.note(key.id, request.ip, nowMs);
    const caller = toCaller(key, { role, ip: request.ip, liveView });
    return { ok: true, identity: { caller, keyId: key.id, keyExpiresAt: key.expiresAt } };
  };
}

function isDeviceKey(authorization: string | undefined): boolean {
  const token = readBearer(authorization);
  return token !== undefined && claimedKeyKind(token) === "device";
}

function toCaller(
  key: ApiKey,
  { role, ip, liveView }: { readonly role: Role; readonly ip: string | undefined; readonly liveView: LiveView },
): Caller {
  if (key.kind === "device") {
    const actor = { type: "device", id: key.id, name: key.description ?? key.name, ip } as const;
    return { actor, role, memberId: null, isDevice: true };
  }
  const member = key.memberId === null ? undefined : liveView.current.memberById.get(key.memberId);
  const onBehalfOf = member === undefined ? undefined : { id: member.id, name: member.name };
  return { actor: { type: "key", id: key.id, name: key.name, onBehalfOf, ip }, role, memberId: key.memberId };
}
