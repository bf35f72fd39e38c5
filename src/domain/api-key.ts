import type { KeyUsed } from "./key-use.ts";
import type { Role } from "./role.ts";

export const KEY_KINDS = ["organization", "agent", "device"] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

export const KEY_PREFIXES: Readonly<Record<KeyKind, string>> = {
  organization: "rl_org_",
  agent: "rl_agent_",
  device: "rl_device_",
};

/** Prefix and last four characters: enough to tell keys apart, useless as a key. */
export function toKeyHint(key: string, kind: KeyKind): string {
  return `${KEY_PREFIXES[kind]}…${key.slice(-4)}`;
}

/** How a key came to be. A bootstrap key that was revoked never revives. */
export type KeyOrigin = "operation" | "bootstrap" | "first-start" | "host";

/** Everything about a key but the key: only its keyed hash is stored. */
export interface ApiKey extends KeyUsed {
  readonly id: string;
  readonly name: string;
  readonly kind: KeyKind;
  readonly origin: KeyOrigin;
  /** HMAC-SHA-256 of the key under the pepper, hex. Never leaves the program. */
  readonly hash: string;
  /** Prefix and last four characters. */
  readonly hint: string;
  readonly description: string | null;
  /** Of organization keys. */
  readonly role: Role | null;
  /** Of agent keys. */
  readonly agentId: string | null;
  /** The member who answers for an organization key. */
  readonly memberId: string | null;
  readonly allowedIps: readonly string[];
  readonly createdBy: { readonly type: string; readonly id: string; readonly name: string };
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revoked: { readonly at: number; readonly reason: string | null } | null;
  readonly version: number;
}

export type KeyStatus = "active" | "expired" | "revoked";

export function keyStatus(key: Pick<ApiKey, "revoked" | "expiresAt">, nowMs: number): KeyStatus {
  if (key.revoked !== null) return "revoked";
  return key.expiresAt !== null && key.expiresAt <= nowMs ? "expired" : "active";
}
