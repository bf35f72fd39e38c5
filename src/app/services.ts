import type { AuditLog } from "../audit/audit-log.ts";
import { generateApiKey, hashApiKey } from "../auth/api-key-format.ts";
import { toKeyHint } from "../domain/api-key.ts";
import type { KeyUsage } from "../auth/key-usage.ts";
import type { UpstreamProbe } from "../gateway/probe/probe.ts";
import type { Egress } from "../lib/egress/egress.ts";
import { newId } from "../lib/ids.ts";
import type { LiveSessions, Services } from "../operations/services.ts";
import type { LiveView } from "../snapshot/live-view.ts";
import type { Vault } from "../vault/vault.ts";

export interface ServiceParts {
  readonly vault: Vault;
  readonly pepper: Buffer;
  readonly audit: AuditLog;
  readonly usage: KeyUsage;
  readonly egress: Egress;
  readonly probe: UpstreamProbe;
  readonly sessions: LiveSessions;
  readonly sweepHost: Services["sweepHost"];
  readonly scanSlot: Services["scanSlot"];
  readonly deviceReports: Services["deviceReports"];
  readonly clock: Services["clock"];
  readonly isStdioAllowed: boolean;
  readonly stdioIsolation: Services["stdioIsolation"];
  readonly liveView: LiveView;
  readonly publicUrl: string;
  readonly runSkill: Services["runSkill"];
}

/** What operations need of the rest of the program. */
export function createServices(parts: ServiceParts): Services {
  const { vault, pepper, audit, usage, egress, probe, sessions, isStdioAllowed, stdioIsolation, liveView, publicUrl } =
    parts;
  const { sweepHost, scanSlot, deviceReports, clock } = parts;
  return {
    vault,
    sessions,
    sweepHost,
    scanSlot,
    deviceReports,
    clock,
    isStdioAllowed,
    stdioIsolation,
    snapshot: () => liveView.current,
    newId,
    runSkill: parts.runSkill,
    publicUrl,
    keys: {
      create(kind) {
        const secret = generateApiKey(kind);
        return { secret, hash: hashApiKey(secret, pepper), hint: toKeyHint(secret, kind) };
      },
    },
    probe: {
      discover: (target, options) => probe.discover(target, options),
      verifyCredential: (target, options) => probe.verifyCredential(target, options),
      async checkAddress(url, { allowPrivateNetwork, field }) {
        await egress.checkResolved(url, { allowPrivateNetwork, field });
      },
    },
    flushAudit: () => audit.flush(),
    pendingKeyUse: (keyId) => usage.pending(keyId),
    noteKeyDenied: (keyId) => usage.noteDenied(keyId, clock.now()),
  };
}
