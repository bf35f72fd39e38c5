import type { Credential } from "../domain/server.ts";
import type { Clock } from "../lib/clock.ts";
import type { Egress } from "../lib/egress/egress.ts";
import { fetchClientToken, type OauthClient, type ClientToken } from "./client-token.ts";

/** Request headers with lower-case names. */
export type CredentialHeaders = Readonly<Record<string, string>>;

export interface CredentialUse {
  /** Whether the token endpoint may be in a private network, as its server may. */
  readonly allowPrivateNetwork: boolean;
}

/** Turns a server's credential into what an HTTP request to it carries. */
export interface CredentialSource {
  /**
   * The headers at once where they are known, so that the hot path does not wait for nothing; a promise while a token is
   * fetched. Rejects with `upstream_error` or `timeout` when the token endpoint gives none.
   */
  headersFor(credential: Credential, use: CredentialUse): CredentialHeaders | Promise<CredentialHeaders>;
  /** Drops a fetched token, because the upstream answered 401 to it. */
  forget(credential: Credential): void;
}

interface TokenEntry {
  /** Use until then, in ms since the epoch: shortly before the token expires. */
  readonly useUntil: number;
  readonly headers: CredentialHeaders;
}

const NO_HEADERS: CredentialHeaders = {};
// A token that expires on the way is refused; the margin covers the way and a wrong clock.
const EXPIRY_MARGIN_MS = 60_000;
// Servers with this many distinct clients do not exist; the bound keeps rotated secrets from piling up.
const TOKENS_MAX = 1000;

/** Keeps each fetched token until shortly before it expires; simultaneous callers share one request. */
export function createCredentialSource({ egress, clock }: { egress: Egress; clock: Clock }): CredentialSource {
  const tokens = new Map<string, TokenEntry>();
  const pending = new Map<string, Promise<CredentialHeaders>>();

  async function fetchHeaders(client: OauthClient, key: string, use: CredentialUse): Promise<CredentialHeaders> {
    const token = await fetchClientToken(egress, client, use);
    const headers = { authorization: `Bearer ${token.accessToken}` };
    const oldest = tokens.keys().next();
    if (tokens.size >= TOKENS_MAX && oldest.done === false) tokens.delete(oldest.value);
    tokens.set(key, { headers, useUntil: useUntil(token, clock.now()) });
    return headers;
  }

  function tokenHeaders(client: OauthClient, use: CredentialUse): CredentialHeaders | Promise<CredentialHeaders> {
    const key = keyOf(client);
    const known = tokens.get(key);
    if (known !== undefined && clock.now() < known.useUntil) return known.headers;
    const running = pending.get(key);
    if (running !== undefined) return running;
    const started = fetchHeaders(client, key, use).finally(() => pending.delete(key));
    pending.set(key, started);
    return started;
  }

  return {
    headersFor(credential, use) {
      return credential.type === "oauth-client-credentials"
        ? tokenHeaders(credential, use)
        : fixedCredentialHeaders(credential);
    },
    forget(credential) {
      if (credential.type === "oauth-client-credentials") tokens.delete(keyOf(credential));
    },
  };
}

function fixedCredentialHeaders(credential: Exclude<Credential, OauthClient>): CredentialHeaders {
  switch (credential.type) {
    case "bearer":
      return { authorization: `Bearer ${credential.token}` };
    case "basic":
      return { authorization: `Basic ${toBasic(credential.username, credential.password)}` };
    case "header":
      return { [credential.name.toLowerCase()]: credential.value };
    // The values of `env` go into the environment of the child.
    default:
      return NO_HEADERS;
  }
}

/** The user-pass of RFC 7617 §2 in UTF-8. */
export function toBasic(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, "utf8").toString("base64");
}

function useUntil(token: ClientToken, now: number): number {
  // A short-lived token is used for half its life rather than never.
  return now + Math.max(token.lifetimeMs - EXPIRY_MARGIN_MS, token.lifetimeMs / 2);
}

function keyOf(client: OauthClient): string {
  return JSON.stringify([client.tokenUrl, client.clientId, client.clientSecret, client.scopes ?? []]);
}
