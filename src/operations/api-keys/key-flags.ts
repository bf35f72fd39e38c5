import type { ApiKey } from "../../domain/api-key.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** A key that nobody used for so long is a door that nobody watches. */
const UNUSED_AFTER_MS = 90 * DAY_MS;
const EXPIRING_WITHIN_MS = 14 * DAY_MS;

/** Not used for 90 days; a key that was never used counts from its creation. */
export function isUnused(key: ApiKey, now: number): boolean {
  return (key.lastUsedAt ?? key.createdAt) <= now - UNUSED_AFTER_MS;
}

/** Expires within 14 days, or has. */
export function isExpiring(key: ApiKey, now: number): boolean {
  return key.expiresAt !== null && key.expiresAt <= now + EXPIRING_WITHIN_MS;
}
