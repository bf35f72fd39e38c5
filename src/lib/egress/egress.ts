import { Agent, type Dispatcher } from "undici";
import { checkHost, checkUrl, type EgressRules, portOf } from "./check-url.ts";
import { createCheckedConnector, resolveChecked, type ResolveName, resolveWithSystem } from "./connector.ts";
import { AppError } from "../errors.ts";
import { bareName, type OwnListener } from "./own-listeners.ts";
import { type Peer, PeerBook } from "./peer-book.ts";

export interface EgressOptions {
  /** Asked at each connection, because a listener's port may be known only after it listens. */
  readonly ownListeners: () => readonly OwnListener[];
  readonly resolveName?: ResolveName | undefined;
  /** Time to resolve, connect and finish TLS. */
  readonly connectTimeoutMs?: number | undefined;
  /** Time from the sent request to the complete response head. */
  readonly headersTimeoutMs?: number | undefined;
  /** Longest silence within a response body. */
  readonly bodyIdleTimeoutMs?: number | undefined;
  /** Trusted certificates in PEM form, instead of the built-in ones. */
  readonly ca?: readonly string[] | undefined;
}

export interface EgressTarget {
  readonly allowPrivateNetwork: boolean;
  /** The input field to name in messages; `url` if absent. */
  readonly field?: string | undefined;
}

/** The only way out: every outbound connection of the program goes through one of its dispatchers. */
export interface Egress {
  /** The parsed URL, or throws `invalid_input`. Checks the text only. */
  check(url: string | URL, target: EgressTarget): URL;
  /** As `check`, and also resolves the name: throws if any of its addresses is not allowed. An unknown name passes. */
  checkResolved(url: string | URL, target: EgressTarget): Promise<URL>;
  /** Pooled keep-alive connections that were checked when they were made; follows no redirect. */
  dispatcher(target: Pick<EgressTarget, "allowPrivateNetwork">): Dispatcher;
  /** Who answered at this URL when it was last connected to; undefined if it was not, or long ago. */
  peerOf(url: URL): Peer | undefined;
  /** Closes every connection at once. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
// A tool call may think for minutes before its head; callers with less patience abort.
const HEADERS_TIMEOUT_MS = 300_000;
// Servers keep event streams open with comments, typically every 15 to 60 s.
const BODY_IDLE_TIMEOUT_MS = 300_000;
const KEEP_ALIVE_MS = 30_000;
const RESPONSE_HEADER_BYTES_MAX = 64 * 1024;

/** Makes the two pools, one per value of `allowPrivateNetwork`, so that a connection is reused only under the rule it was checked with. */
export function createEgress(options: EgressOptions): Egress {
  const resolveName = options.resolveName ?? resolveWithSystem;
  // Named one by one: what else a caller's object holds (a credential, say) stays out.
  const rulesFor = ({ allowPrivateNetwork, field }: EgressTarget): EgressRules => ({
    allowPrivateNetwork,
    field,
    ownListeners: options.ownListeners(),
  });
  const peers = new PeerBook();
  const open = createPool({ ...options, peers }, () => rulesFor({ allowPrivateNetwork: true }));
  const publicOnly = createPool({ ...options, peers }, () => rulesFor({ allowPrivateNetwork: false }));
  return {
    check: (url, target) => checkUrl(url, rulesFor(target)),
    async checkResolved(url, target) {
      const checked = checkUrl(url, rulesFor(target));
      const host = bareName(checked.hostname);
      try {
        await resolveChecked(host, portOf(checked), { resolveName, rules: () => rulesFor(target) });
      } catch (error) {
        // A name that does not resolve reaches nothing; the connection will say so.
        if (error instanceof AppError) throw error;
        checkHost(host, portOf(checked), rulesFor(target));
      }
      return checked;
    },
    dispatcher: ({ allowPrivateNetwork }) => (allowPrivateNetwork ? open : publicOnly),
    peerOf: (url) => peers.find(url.hostname, portOf(url)),
    async close() {
      await Promise.all([open.destroy(), publicOnly.destroy()]);
    },
  };
}

function createPool(options: EgressOptions & { readonly peers: PeerBook }, rules: () => EgressRules): Agent {
  return new Agent({
    connect: createCheckedConnector({
      rules,
      resolveName: options.resolveName ?? resolveWithSystem,
      connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      ca: options.ca,
      peers: options.peers,
    }),
    headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    bodyTimeout: options.bodyIdleTimeoutMs ?? BODY_IDLE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
    pipelining: 1,
  });
}
