import { canonicalUrl, type Identity, identify } from "./identity.ts";

/** A registered server, as far as matching needs it. */
export interface RegisteredServer {
  readonly id: string;
  readonly name: string;
  readonly transport: string;
  readonly url?: string | undefined;
  readonly command?: string | undefined;
  readonly args?: readonly string[] | undefined;
  /** Where agents reach it through the gateway. */
  readonly gatewayUrl?: string | undefined;
}

/** What the organization registered; empty when a scan runs without a server. */
export interface Registry {
  readonly servers: readonly RegisteredServer[];
  readonly agents: readonly { readonly id: string; readonly name: string; readonly type: string }[];
  readonly skills: readonly { readonly id: string; readonly name: string; readonly digest: string }[];
  /** Addresses of the gateway itself: whatever goes below one is managed. */
  readonly gatewayUrls: readonly string[];
}

export const EMPTY_REGISTRY: Registry = { servers: [], agents: [], skills: [], gatewayUrls: [] };

/** `registered_direct` is a bypass: the server is registered, and the client goes straight to it. */
export type Standing =
  | { readonly status: "managed" }
  | { readonly status: "registered_direct" | "drifted"; readonly server: RegisteredServer }
  | { readonly status: "shadow" };

export interface Matcher {
  readonly standingOf: (identity: Identity) => Standing;
}

/** Indexes the registry once; each sighting then costs two lookups. */
export function createMatcher(registry: Registry, hashKey: string): Matcher {
  const exact = new Map<string, RegisteredServer>();
  const family = new Map<string, RegisteredServer>();
  for (const server of registry.servers) {
    const identity = identify(server, hashKey);
    exact.set(identity.exact, server);
    family.set(identity.family, server);
  }
  const gateways = [...registry.gatewayUrls, ...registry.servers.flatMap((server) => server.gatewayUrl ?? [])]
    .map((url) => canonicalUrl(url))
    .filter((url) => url !== undefined);
  return {
    standingOf: (identity) => {
      if (gateways.some((gateway) => isBelow(identity.url, gateway))) return { status: "managed" };
      const same = exact.get(identity.exact);
      if (same !== undefined) return { status: "registered_direct", server: same };
      const related = family.get(identity.family);
      // One address is one server, whichever of its transports (`/mcp`, `/sse`) the client uses.
      if (related !== undefined)
        return { status: identity.kind === "url" ? "registered_direct" : "drifted", server: related };
      return { status: "shadow" };
    },
  };
}

function isBelow(url: string | undefined, gateway: URL): boolean {
  const found = url === undefined ? undefined : canonicalUrl(url);
  if (found === undefined || found.host !== gateway.host) return false;
  const path = gateway.pathname.replace(/\/$/, "");
  return found.pathname === path || found.pathname.startsWith(`${path}/`);
}
