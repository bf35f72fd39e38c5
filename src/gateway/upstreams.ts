import type { Egress } from "../lib/egress/egress.ts";
import type { ServerView } from "../snapshot/snapshot.ts";
import type { CredentialSource } from "./credentials.ts";
import { createHttpUpstream } from "./http-upstream.ts";
import { createSecretMask, secretsOf, type SecretMask } from "./secret-mask.ts";
import type { Upstream, Upstreams } from "./upstream.ts";

interface Ways {
  readonly egress: Egress;
  readonly credentials: CredentialSource;
}

export interface UpstreamsOptions extends Ways {
  /** Finds the way to servers that do not speak streamable HTTP. */
  readonly bridged: Upstreams;
}

/** One way for each server and each of its versions; a new credential or address makes a new view and with it a new way. */
export function createUpstreams({ egress, credentials, bridged }: UpstreamsOptions): Upstreams {
  const known = new WeakMap<ServerView, Upstream>();
  return {
    of(server, scope) {
      if (server.server.transport !== "streamable-http") return bridged.of(server, scope);
      const found = known.get(server) ?? createDirect(server, { egress, credentials });
      known.set(server, found);
      return found;
    },
    endSession: (scope, upstreamId) => bridged.endSession(scope, upstreamId),
    hasEnded: (server, scope, upstreamId) =>
      server.server.transport !== "streamable-http" && bridged.hasEnded(server, scope, upstreamId),
    enforce: (snapshot) => bridged.enforce(snapshot),
  };
}

function createDirect(view: ServerView, ways: Ways): Upstream {
  return reachServer(view, ways)(new URL(view.server.url ?? ""));
}

/** Reaches addresses of a server with its credential and fixed headers, through the checked way out. */
export function reachServer(view: ServerView, { egress, credentials }: Ways): (url: URL) => Upstream {
  const rule = { allowPrivateNetwork: view.server.allowPrivateNetwork };
  let known: readonly string[] | undefined;
  const headers = (): readonly string[] | Promise<readonly string[]> => {
    const secrets = view.secrets();
    // Only a token changes while the view stands; what does not is put together once.
    if (secrets.credential.type !== "oauth-client-credentials" && known !== undefined) return known;
    const found = credentials.headersFor(secrets.credential, rule);
    if (found instanceof Promise) return found.then((late) => flatten(secrets.headers, late));
    known = flatten(secrets.headers, found);
    return known;
  };
  const onUnauthorized = (): void => credentials.forget(view.secrets().credential);
  const maskOf = rememberMask(view);
  return (url) => createHttpUpstream({ dispatcher: egress.dispatcher(rule), url, headers, maskOf, onUnauthorized });
}

/** A fetched token is a secret, too; it changes seldom. */
function rememberMask(view: ServerView): (headers: readonly string[]) => SecretMask | undefined {
  let known: { readonly token: string; readonly mask: SecretMask | undefined } | undefined;
  return (headers) => {
    const secrets = view.secrets();
    const isFetched = secrets.credential.type === "oauth-client-credentials";
    const token = isFetched ? (headers[headers.indexOf("authorization") + 1] ?? "").replace(/^Bearer /, "") : "";
    if (known?.token !== token) known = { token, mask: createSecretMask([...secretsOf(secrets), token]) };
    return known.mask;
  };
}

/** Names and values in turn; the credential wins over a fixed header of the same name. */
function flatten(fixed: Readonly<Record<string, string>>, credential: Readonly<Record<string, string>>): string[] {
  const lower = Object.fromEntries(Object.entries(fixed).map(([name, value]) => [name.toLowerCase(), value]));
  return Object.entries({ ...lower, ...credential }).flat();
}
