import type { AuthenticationRequest, AuthFailure } from "../auth/authenticate.ts";
import { AppError } from "../lib/errors.ts";
import type { Caller } from "../operations/context.ts";

/** A caller that was let in, and the key that says so. */
export interface Identity {
  readonly caller: Caller;
  readonly keyId: string;
  /** Milliseconds since the epoch; null for a key that does not expire. */
  readonly keyExpiresAt: number | null;
}

export type AuthenticationOutcome =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly reason: AuthFailure | "rate_limited" | "unavailable" };

/** Says who calls and counts the attempt; answered from memory. Wired by the composition root. */
export type Authenticate = (request: Omit<AuthenticationRequest, "nowMs">) => AuthenticationOutcome;

/** RFC 6750 §3: a plain challenge, because there is no authorization server to point to. */
export const BEARER_CHALLENGE = 'Bearer realm="runlayer"';

/**
 * The management caller behind a request. Throws `unauthenticated`, which never says why: that goes to the audit log; and
 * `unavailable` where nobody can tell at the moment.
 */
export function requireIdentity(authenticate: Authenticate, request: AuthorizedRequest): Identity {
  const outcome = authenticate({ ...request, kind: "organization" });
  if (outcome.ok) return outcome.identity;
  if (outcome.reason === "rate_limited") {
    throw new AppError("rate_limited", "too many failed attempts from this address; wait a minute");
  }
  if (outcome.reason === "unavailable") {
    throw new AppError("unavailable", "the latest changes could not be read from the database; try again in a moment");
  }
  if (outcome.reason === "missing_key") {
    throw new AppError("unauthenticated", "send an organization key as `Authorization: Bearer rl_org_…`");
  }
  throw new AppError("unauthenticated", "this key is not accepted here; use an active organization key (`rl_org_…`)");
}

interface AuthorizedRequest {
  readonly authorization: string | undefined;
  readonly ip: string | undefined;
}
