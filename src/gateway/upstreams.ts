import type { Egress } from "../lib/egress/egress.ts";
import type { ServerView } from "../snapshot/snapshot.ts";
import type { CredentialSource } from "./credentials.ts";
import { createHttpUpstream } from "./http-upstream.ts";
import type { Upstream, Upstreams } from "./upstream.ts";

export interface UpstreamsOptions {
  readonly egress: Egress;
  readonly credentials: CredentialSource;
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
  };
}

function createDirect(
  view: ServerView,
  { egress, credentials }: Pick<UpstreamsOptions, "egress" | "credentials">,
): Upstream {
  const { server } = view;
  const rule = { allowPrivateNetwork: server.allowPrivateNetwork };
  return createHttpUpstream({
    dispatcher: egress.dispatcher(rule),
    url: new URL(server.url ?? ""),
    headers: () => {
      const { credential, headers } = view.secrets();
      const found = credentials.headersFor(credential, rule);
      return found instanceof Promise ? found.then((late) => flatten(headers, late)) : flatten(headers, found);
    },
    onUnauthorized: () => credentials.forget(view.secrets().credential),
  });
}

/** Names and values in turn; the credential wins over a fixed header of the same name. */
function flatten(fixed: Readonly<Record<string, string>>, credential: Readonly<Record<string, string>>): string[] {
  const lower = Object.fromEntries(Object.entries(fixed).map(([name, value]) => [name.toLowerCase(), value]));
  return Object.entries({ ...lower, ...credential }).flat();
}
