import type { Credential, CredentialSummary, Server, Transport } from "../../domain/server.ts";
import { parseServerSecrets } from "../../domain/server-secrets.ts";
import { AppError } from "../../lib/errors.ts";
import type { Vault } from "../../vault/vault.ts";
import type { ProbeTarget, UpstreamProbe } from "../services.ts";
import { isProtocolHeader } from "./server-fields.ts";

/** What input says about an endpoint; undefined leaves a part as it is, null clears it. */
export interface EndpointInput {
  readonly transport?: Transport | undefined;
  readonly url?: string | null | undefined;
  readonly headers?: Readonly<Record<string, string>> | null | undefined;
  readonly command?: string | null | undefined;
  readonly args?: readonly string[] | null | undefined;
  readonly env?: Readonly<Record<string, string>> | null | undefined;
  readonly cwd?: string | null | undefined;
  readonly credential?: Credential | undefined;
  readonly allowPrivateNetwork?: boolean | undefined;
}

/** The members of an input that say where the server is and how it is authenticated. */
export const ENDPOINT_FIELDS = [
  "transport",
  "url",
  "headers",
  "command",
  "args",
  "env",
  "cwd",
  "credential",
  "allowPrivateNetwork",
] as const satisfies readonly (keyof EndpointInput)[];

const TOKEN_URL = "credential.tokenUrl";
const NONE: Credential = { type: "none" };
// Parameters that commonly carry a token: a URL is shown, logged and audited, so a secret does not belong there.
const SECRET_PARAMETER = /key|token|secret|passw|signature|credential|^(?:sig|auth|code|pwd)$/i;

/** The endpoint of a server that is to be created. Throws `invalid_input` for parts that do not go together. */
export function createEndpoint(input: EndpointInput & { readonly transport: Transport }): ProbeTarget {
  const url = input.url ?? null;
  return checkEndpoint({
    transport: input.transport,
    url: url === null ? null : parseEndpoint(url, "url").href,
    command: input.command ?? null,
    cwd: input.cwd ?? null,
    headers: input.headers ?? {},
    args: input.args ?? [],
    env: input.env ?? {},
    credential: input.credential ?? NONE,
    allowPrivateNetwork: input.allowPrivateNetwork ?? false,
  });
}

/** The endpoint of a stored server, with its secrets in clear: memory only. */
export function openEndpoint(server: Server, vault: Vault): ProbeTarget {
  const context = { table: "servers", id: server.id, version: server.secretsVersion };
  const { transport, url, command, cwd, allowPrivateNetwork } = server;
  return {
    transport,
    url,
    command,
    cwd,
    allowPrivateNetwork,
    ...parseServerSecrets(vault.open(server.sealedSecrets, context)),
  };
}

/**
 * The endpoint after a change. A stored secret never travels to a new address: another URL or transport needs the credential
 * (and fixed headers, where there are some) in the same call.
 */
export function changeEndpoint(current: ProbeTarget, input: EndpointInput): ProbeTarget {
  const transport = input.transport ?? current.transport;
  const isOtherKind = (transport === "stdio") !== (current.transport === "stdio");
  const kept = isOtherKind ? { url: null, command: null, cwd: null, headers: {}, args: [], env: {} } : current;
  const changed = createEndpoint({
    transport,
    url: patched(input.url, kept.url),
    command: patched(input.command, kept.command),
    cwd: patched(input.cwd, kept.cwd),
    headers: patched(input.headers, kept.headers),
    args: patched(input.args, kept.args),
    env: patched(input.env, kept.env),
    credential: input.credential ?? current.credential,
    allowPrivateNetwork: input.allowPrivateNetwork ?? current.allowPrivateNetwork,
  });
  refuseTravellingSecret(current, changed, input);
  return changed;
}

/** Throws `invalid_input` where the endpoint, or the token endpoint of its credential, is one that is never connected to. */
export async function checkAddresses(
  { url, credential, allowPrivateNetwork }: ProbeTarget,
  probe: Pick<UpstreamProbe, "checkAddress">,
): Promise<void> {
  if (url !== null) await probe.checkAddress(url, { allowPrivateNetwork });
  if (credential.type !== "oauth-client-credentials") return;
  await probe.checkAddress(credential.tokenUrl, { allowPrivateNetwork, field: TOKEN_URL });
}

function patched<T>(given: T | undefined, current: T): T {
  return given === undefined ? current : given;
}

function refuseTravellingSecret(current: ProbeTarget, changed: ProbeTarget, input: EndpointInput): void {
  const isSameAddress = current.url === changed.url && current.transport === changed.transport;
  if (isSameAddress) return;
  if (current.credential.type !== "none" && input.credential === undefined) {
    throw invalid(
      "credential",
      "a new address needs the credential in the same call; a stored secret never travels to one",
    );
  }
  if (Object.keys(current.headers).length > 0 && changed.transport !== "stdio" && input.headers === undefined) {
    throw invalid(
      "headers",
      "a new address needs the fixed headers in the same call; stored values never travel to one",
    );
  }
}

function checkEndpoint(endpoint: ProbeTarget): ProbeTarget {
  if (endpoint.transport === "stdio") checkStdio(endpoint);
  else checkHttp(endpoint);
  const fixed = Object.keys(endpoint.headers).find(isProtocolHeader);
  if (fixed !== undefined) throw invalid("headers", `\`${fixed}\` is set by the gateway itself; leave it out`);
  if (endpoint.credential.type === "header" && isProtocolHeader(endpoint.credential.name)) {
    throw invalid("credential.name", "this header is set by the gateway itself; choose another");
  }
  return endpoint;
}

function checkStdio(endpoint: ProbeTarget): void {
  if (endpoint.command === null) throw invalid("command", "a `stdio` server needs `command`");
  if (endpoint.url !== null) throw invalid("url", "a `stdio` server has no `url`; leave it out");
  if (Object.keys(endpoint.headers).length > 0)
    throw invalid("headers", "a `stdio` server takes no headers; use `env`");
  if (endpoint.credential.type === "none" || endpoint.credential.type === "env") return;
  throw invalid("credential", "a `stdio` server takes a credential of type `env` or `none`");
}

function checkHttp(endpoint: ProbeTarget): void {
  if (endpoint.url === null) throw invalid("url", `a \`${endpoint.transport}\` server needs \`url\``);
  const { command, cwd, args, env } = endpoint;
  const given = {
    command: command !== null,
    cwd: cwd !== null,
    args: args.length > 0,
    env: Object.keys(env).length > 0,
  };
  const stray = Object.entries(given).find(([, isGiven]) => isGiven)?.[0];
  if (stray !== undefined) throw invalid(stray, `only a \`stdio\` server has \`${stray}\`; leave it out`);
  if (endpoint.credential.type === "oauth-client-credentials") parseEndpoint(endpoint.credential.tokenUrl, TOKEN_URL);
  if (endpoint.credential.type !== "env") return;
  throw invalid("credential", "only a `stdio` server takes a credential of type `env`");
}

/** Throws `invalid_input` for what is no address to contact, or holds what may not be shown. */
function parseEndpoint(text: string, field: string): URL {
  if (!URL.canParse(text)) throw invalid(field, "not a URL; give one such as `https://mcp.example.com/mcp`");
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw invalid(field, "only `http:` and `https:` are allowed");
  if (url.username !== "" || url.password !== "")
    throw invalid(field, "holds a user or password; use `credential` of type `basic`");
  if (url.hash !== "") throw invalid(field, "holds a fragment; leave out `#` and what follows");
  const secret = [...url.searchParams.keys()].find((name) => SECRET_PARAMETER.test(name));
  if (secret !== undefined)
    throw invalid(field, "a query parameter looks like a secret; put it into `credential` or `headers`");
  return url;
}

/** What may be shown of a credential. */
export function summarizeCredential(credential: Credential, rotatedAt: number): CredentialSummary {
  const secret = secretOf(credential);
  return {
    type: credential.type,
    rotatedAt: credential.type === "none" ? null : rotatedAt,
    // Four characters of a short secret would be too much of it.
    hint: secret === null || secret.length < 16 ? null : `…${secret.slice(-4)}`,
    names:
      credential.type === "env"
        ? Object.keys(credential.values)
        : credential.type === "header"
          ? [credential.name]
          : [],
    tokenUrl: credential.type === "oauth-client-credentials" ? credential.tokenUrl : null,
  };
}

function secretOf(credential: Credential): string | null {
  switch (credential.type) {
    case "bearer":
      return credential.token;
    case "header":
      return credential.value;
    case "basic":
      return credential.password;
    case "oauth-client-credentials":
      return credential.clientSecret;
    case "env":
    case "none":
      return null;
    default:
      return null;
  }
}

function invalid(field: string, message: string): AppError {
  return new AppError("invalid_input", `\`${field}\`: ${message}`, { details: { issues: [{ field, message }] } });
}
