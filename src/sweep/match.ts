import { canonicalUrl, type Identity, identify } from "./identity.ts";
import { placeOfUrl } from "./local-address.ts";

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
  /** The active ones, with the hints of their keys. */
  readonly agents: readonly {
    readonly id: string;
    readonly name: string;
    readonly type: string;
    readonly keyHints: readonly string[];
  }[];
  readonly skills: readonly { readonly id: string; readonly name: string; readonly digest: string }[];
  /** Addresses of the gateway itself: whatever goes below one is managed. */
  readonly gatewayUrls: readonly string[];
  /** What a client (by its id in the table) is configured with to reach a server through the gateway. Holds no key. */
  readonly configurationOf: (client: string, server: RegisteredServer) => string;
}

export const EMPTY_REGISTRY: Registry = {
  servers: [],
  agents: [],
  skills: [],
  gatewayUrls: [],
  configurationOf: (_client, { gatewayUrl }) => gatewayUrl ?? "",
};

/** `registered_direct` is a bypass: the server is registered, and the client goes straight to it. */
export type Standing =
  | { readonly status: "managed" }
  | { readonly status: "registered_direct" | "drifted"; readonly server: RegisteredServer }
  | { readonly status: "shadow" };

/** The registry, indexed once: each sighting then costs a few lookups. */
export interface Matcher {
  /** What was seen, as the registered server that is reached where it listens (see `reachedAt`); else as it is. */
  readonly identityAt: (listensAt: readonly string[], seen: Identity) => Identity;
  readonly standingOf: (identity: Identity) => Standing;
  readonly configurationOf: Registry["configurationOf"];
  /** Whether there is an active agent of that type or name; with this key, where a hint of one is known. */
  readonly isAgentRegistered: (client: string, keyHint?: string) => boolean;
  readonly skillStandingOf: (skill: {
    readonly name: string;
    readonly digest: string;
  }) => "registered" | "modified" | "shadow";
}

export function createMatcher(registry: Registry, hashKey: string): Matcher {
  const exact = new Map<string, RegisteredServer>();
  const family = new Map<string, RegisteredServer>();
  const places = new Map<string, Identity>();
  for (const server of registry.servers) {
    const identity = identify(server, hashKey);
    const place = server.url === undefined ? undefined : placeOfUrl(server.url);
    if (place !== undefined) places.set(place, identity);
    exact.set(identity.exact, server);
    family.set(identity.family, server);
  }
  const gatewayUrls = [...registry.gatewayUrls, ...registry.servers.flatMap((server) => server.gatewayUrl ?? [])];
  const gateways = new Set(gatewayUrls.flatMap((url) => placesOf(url).slice(0, 1)));
  const agents = keyHintsByKind(registry.agents);
  const digests = new Set(registry.skills.map(({ digest }) => digest));
  const skillNames = new Set(registry.skills.map(({ name }) => name));
  const isGateway = (url: string): boolean => placesOf(url).some((place) => gateways.has(place));
  // What is only called like a bridge, and leads to a registered address, goes around the gateway all the same.
  const throughBridge = (seen: Identity): Identity => {
    if (seen.kind === "url" || seen.url === undefined || isGateway(seen.url)) return seen;
    const address = identify({ url: seen.url }, hashKey);
    return family.has(address.family) ? underKeysOf(address, seen) : seen;
  };
  return {
    identityAt: (listensAt, seen) => {
      const registered = listensAt.map((place) => places.get(place)).find((identity) => identity !== undefined);
      return registered === undefined ? throughBridge(seen) : underKeysOf(registered, seen);
    },
    standingOf: (seen) => {
      const identity = throughBridge(seen);
      // What is only called like a bridge to the gateway may be anything.
      if (identity.kind === "url" && identity.url !== undefined && isGateway(identity.url))
        return { status: "managed" };
      const same = exact.get(identity.exact);
      if (same !== undefined) return { status: "registered_direct", server: same };
      const related = family.get(identity.family);
      // One address is one server, whichever of its transports (`/mcp`, `/sse`) the client uses.
      if (related !== undefined)
        return { status: identity.kind === "url" ? "registered_direct" : "drifted", server: related };
      return { status: "shadow" };
    },
    configurationOf: registry.configurationOf,
    isAgentRegistered: (client, keyHint) => {
      const keyHints = agents.get(client);
      return keyHints !== undefined && (keyHint === undefined || keyHints.has(keyHint));
    },
    skillStandingOf: ({ name, digest }) =>
      digests.has(digest) ? "registered" : skillNames.has(name) ? "modified" : "shadow",
  };
}

/** Of the keys of all agents of one type or name. */
function keyHintsByKind(agents: Registry["agents"]): ReadonlyMap<string, ReadonlySet<string>> {
  const byKind = new Map<string, Set<string>>();
  for (const { type, name, keyHints } of agents) {
    for (const kind of [type, name]) {
      const known = byKind.get(kind) ?? new Set();
      for (const hint of keyHints) known.add(hint);
      byKind.set(kind, known);
    }
  }
  return byKind;
}

/** What was seen, under the keys of a registered server: how it was started is still told and judged. */
function underKeysOf({ kind, family, exact, url }: Identity, seen: Identity): Identity {
  return { ...seen, kind, family, exact, url };
}

/** An address and all that it is below: `h/a/b`, `h/a`, `h`. */
function placesOf(text: string): string[] {
  const url = canonicalUrl(text);
  if (url === undefined) return [];
  const segments = `${url.host}${url.pathname}`.replace(/\/$/, "").split("/").slice(0, 50);
  return segments.map((_segment, index) => segments.slice(0, segments.length - index).join("/"));
}
