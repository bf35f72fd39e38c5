import { z } from "zod";
import type { Credential } from "../domain/server.ts";
import type { Egress } from "../lib/egress/egress.ts";
import { type EgressResponse, requestText } from "../lib/egress/request.ts";
import { AppError } from "../lib/errors.ts";

export type OauthClient = Extract<Credential, { readonly type: "oauth-client-credentials" }>;

export interface ClientToken {
  readonly accessToken: string;
  readonly lifetimeMs: number;
}

const TOKEN_TIMEOUT_MS = 10_000;
const TOKEN_BYTES_MAX = 64 * 1024;
// RFC 6749 §5.1 only recommends `expires_in`; without it the token is renewed often.
const DEFAULT_LIFETIME_S = 300;

// RFC 6750 §2.1: a bearer token is b64token; anything else could break out of the header.
const TokenAnswer = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  token_type: z.string(),
  expires_in: z.coerce.number().nonnegative().optional(),
});
const ErrorAnswer = z.object({ error: z.string().regex(/^[a-z_]{1,40}$/) });

/**
 * A token by the client-credentials grant (RFC 6749 §4.4), first with HTTP Basic authentication, then, if the endpoint does not
 * accept that, with the secret in the body (§2.3.1). Throws `upstream_error` or `timeout`; never repeats the secret.
 */
export async function fetchClientToken(
  egress: Egress,
  client: OauthClient,
  { allowPrivateNetwork }: { readonly allowPrivateNetwork: boolean },
): Promise<ClientToken> {
  const form = new URLSearchParams({ grant_type: "client_credentials" });
  if (client.scopes !== undefined && client.scopes.length > 0) form.set("scope", client.scopes.join(" "));
  const post = (headers: Record<string, string>, body: URLSearchParams) =>
    requestText(egress, client.tokenUrl, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json", ...headers },
      body: body.toString(),
      allowPrivateNetwork,
      field: "credential.tokenUrl",
      timeoutMs: TOKEN_TIMEOUT_MS,
      responseBytesMax: TOKEN_BYTES_MAX,
    });
  const first = await post({ authorization: basicOf(client) }, form);
  if (!isClientRefused(first)) return parseToken(first, client);
  const withSecret = new URLSearchParams(form);
  withSecret.set("client_id", client.clientId);
  withSecret.set("client_secret", client.clientSecret);
  return parseToken(await post({}, withSecret), client);
}

function basicOf(client: OauthClient): string {
  // RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
  return `Basic ${Buffer.from(`${toForm(client.clientId)}:${toForm(client.clientSecret)}`).toString("base64")}`;
}

function toForm(text: string): string {
  return new URLSearchParams({ x: text }).toString().slice(2);
}

function isClientRefused(response: EgressResponse): boolean {
  return (response.status === 400 || response.status === 401) && errorCodeOf(response) !== "invalid_scope";
}

function parseToken(response: EgressResponse, client: OauthClient): ClientToken {
  const host = new URL(client.tokenUrl).host;
  if (response.status !== 200) {
    const reason = errorCodeOf(response) ?? `HTTP ${response.status}`;
    const message = `the token endpoint \`${host}\` gave no token: \`${reason}\`; check \`credential\``;
    // Says to callers whether another credential could help.
    const details = response.status < 500 ? { refused: "credential" } : {};
    throw new AppError("upstream_error", message, { details });
  }
  const parsed = TokenAnswer.safeParse(parseJson(response.body));
  if (!parsed.success || parsed.data.token_type.toLowerCase() !== "bearer") {
    throw new AppError("upstream_error", `the token endpoint \`${host}\` answered something that is no bearer token`);
  }
  const lifetimeS = parsed.data.expires_in ?? DEFAULT_LIFETIME_S;
  return { accessToken: parsed.data.access_token, lifetimeMs: lifetimeS * 1000 };
}

function errorCodeOf(response: EgressResponse): string | undefined {
  const parsed = ErrorAnswer.safeParse(parseJson(response.body));
  return parsed.success ? parsed.data.error : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
