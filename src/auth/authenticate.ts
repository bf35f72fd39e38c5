import { createSecretKey } from "node:crypto";
import { keyStatus, type ApiKey, type KeyKind } from "../domain/api-key.ts";
import { isIpInRanges, parseIpRange } from "../lib/ip.ts";
import { claimedKeyKind, hashApiKey, hasValidChecksum } from "./api-key-format.ts";

/** Why a caller is not let in. It goes to the audit log; callers are told no more than that the key is not accepted. */
export type AuthFailure =
  | "missing_key"
  | "malformed_key"
  | "unknown_key"
  | "wrong_kind"
  | "revoked_key"
  | "expired_key"
  | "address_not_allowed"
  /** The member who answers for the key is suspended, or holds less than the key by now. */
  | "member_not_active"
  | "beyond_member_role";

export type Authentication =
  | { readonly ok: true; readonly key: ApiKey }
  | { readonly ok: false; readonly reason: AuthFailure; readonly key?: ApiKey | undefined };

export interface AuthenticationRequest {
  /** The value of the `Authorization` header. */
  readonly authorization: string | undefined;
  readonly kind: KeyKind;
  /** The client's address as the listener determined it. */
  readonly ip: string | undefined;
  readonly nowMs: number;
}

/** Finds a key by its hash; answered from memory. */
export type FindKeyByHash = (hash: string) => ApiKey | undefined;

// RFC 9110 §11.1: the scheme is case-insensitive; RFC 6750 §2.1: the token's characters.
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;
const KEY_CHARACTERS_MAX = 512;

/** Says who is calling, from the bearer key alone. Comparing HMACs by table lookup leaks nothing about the key itself. */
export function createAuthenticator(
  pepper: Buffer,
): (request: AuthenticationRequest, findKey: FindKeyByHash) => Authentication {
  // An HMAC with a key object costs Node a sixth of one with the bytes, which become such an object each time.
  const secret = createSecretKey(pepper);
  return (request, findKey) => {
    const token = readBearer(request.authorization);
    if (token === undefined)
      return { ok: false, reason: request.authorization === undefined ? "missing_key" : "malformed_key" };
    const key = findKey(hashApiKey(token, secret));
    if (key === undefined) return { ok: false, reason: unknownKeyReason(token, request.kind) };
    return checkKey(key, request);
  };
}

/** The token of a `Bearer` header; undefined where there is none or it is not of the form. */
export function readBearer(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > KEY_CHARACTERS_MAX) return undefined;
  return BEARER.exec(authorization)?.[1];
}

function unknownKeyReason(token: string, kind: KeyKind): AuthFailure {
  const claimed = claimedKeyKind(token);
  if (claimed === undefined || !hasValidChecksum(token)) return "malformed_key";
  return claimed === kind ? "unknown_key" : "wrong_kind";
}

function checkKey(key: ApiKey, request: AuthenticationRequest): Authentication {
  const status = keyStatus(key, request.nowMs);
  if (status === "revoked") return { ok: false, reason: "revoked_key", key };
  if (status === "expired") return { ok: false, reason: "expired_key", key };
  if (key.kind !== request.kind) return { ok: false, reason: "wrong_kind", key };
  if (!isAddressAllowed(key, request.ip)) return { ok: false, reason: "address_not_allowed", key };
  return { ok: true, key };
}

function isAddressAllowed(key: ApiKey, ip: string | undefined): boolean {
  if (key.allowedIps.length === 0) return true;
  const ranges = key.allowedIps.map(parseIpRange).filter((range) => range !== undefined);
  return ip !== undefined && isIpInRanges(ip, ranges);
}
