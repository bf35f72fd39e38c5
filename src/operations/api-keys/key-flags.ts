import type { ApiKey } from "../../domain/api-key.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** A key that nobody used for so long is a door that nobody watches. */
const UNUSED_AFTER_MS = 90 * DAY_MS;
const EXPIRING_WITHIN_MS = 14 * DAY_MS;
/** Who looks once a week sees what happened since. */
const NOTICED_MS = 7 * DAY_MS;

export const KEY_FLAGS = ["unused", "expiring", "new_ip", "denied_burst"] as const;
type KeyFlag = (typeof KEY_FLAGS)[number];

/** What of a key deserves a look. */
export function flagsOf(key: ApiKey, now: number): KeyFlag[] {
  const { newNetworkAt, deniedBurstAt } = key.useHistory;
  const isRecent = (at: number | null): boolean => at !== null && at > now - NOTICED_MS;
  const isRaised: Readonly<Record<KeyFlag, boolean>> = {
    unused: isUnused(key, now),
    expiring: isExpiring(key, now),
    new_ip: isRecent(newNetworkAt),
    denied_burst: isRecent(deniedBurstAt),
  };
  return KEY_FLAGS.filter((flag) => isRaised[flag]);
}

/** Not used for 90 days; a key that was never used counts from its creation. */
export function isUnused(key: ApiKey, now: number): boolean {
  return (key.lastUsedAt ?? key.createdAt) <= now - UNUSED_AFTER_MS;
}

/** Expires within 14 days, or has. */
export function isExpiring(key: ApiKey, now: number): boolean {
  return key.expiresAt !== null && key.expiresAt <= now + EXPIRING_WITHIN_MS;
}
