import { networkOf } from "../lib/ip.ts";

/** Uses of a key since they were written down last. */
export interface KeyUse {
  readonly keyId: string;
  readonly count: number;
  /** The last one; null where the key was only turned away. */
  readonly last: { readonly at: number; readonly ip: string | null } | null;
  /** Addresses it was used from. */
  readonly ips: readonly string[];
  /** Messages or calls of the key that were denied, and when the last was. */
  readonly denied: { readonly count: number; readonly at: number };
}

/** The little that is remembered of how a key is used, to notice that somebody else has it. */
export interface KeyUseHistory {
  /** Where it was used from lately: an IPv4 address, or the /64 of an IPv6 one, and when last. */
  readonly networks: readonly { readonly network: string; readonly at: number }[];
  /** When it was first used from a network that it had not been used from before; the very first does not count. */
  readonly newNetworkAt: number | null;
  readonly deniedBurstAt: number | null;
}

/** What uses change of a key. */
export interface KeyUsed {
  readonly lastUsedAt: number | null;
  readonly lastUsedIp: string | null;
  readonly useCount: number;
  readonly useHistory: KeyUseHistory;
}

/** A key as it is made. */
export const NEVER_USED: KeyUsed = {
  lastUsedAt: null,
  lastUsedIp: null,
  useCount: 0,
  useHistory: { networks: [], newNetworkAt: null, deniedBurstAt: null },
};

/** A client that roams does not have more in a week or two. */
const NETWORKS_MAX = 20;
/** Within the minute or so that a `KeyUse` spans. A person mistypes a few times; a program that tries doors does not stop. */
const BURST_DENIALS = 10;

/** What is known of the key after more uses. */
export function withUse(before: KeyUsed, { count, last, ips, denied }: KeyUse): KeyUsed {
  const { useHistory } = before;
  const deniedBurstAt = denied.count >= BURST_DENIALS ? denied.at : useHistory.deniedBurstAt;
  const { lastUsedAt, lastUsedIp, useCount } = before;
  if (last === null) return { lastUsedAt, lastUsedIp, useCount, useHistory: { ...useHistory, deniedBurstAt } };
  return {
    lastUsedAt: last.at,
    lastUsedIp: last.ip,
    useCount: useCount + count,
    useHistory: { ...withNetworks(before, ips, last.at), deniedBurstAt },
  };
}

function withNetworks(
  { useHistory, lastUsedAt, lastUsedIp }: KeyUsed,
  ips: readonly string[],
  at: number,
): Pick<KeyUseHistory, "networks" | "newNetworkAt"> {
  const known = new Map(useHistory.networks.map(({ network, at: usedAt }) => [network, usedAt]));
  // Written by a program that kept no history: the last address is known all the same.
  const former = lastUsedIp === null ? undefined : networkOf(lastUsedIp);
  if (known.size === 0 && former !== undefined) known.set(former, lastUsedAt ?? 0);
  let { newNetworkAt } = useHistory;
  for (const network of new Set(ips.map(networkOf))) {
    if (network === undefined) continue;
    if (known.size > 0 && !known.has(network)) newNetworkAt = at;
    known.set(network, at);
  }
  const networks = [...known].map(([network, usedAt]) => ({ network, at: usedAt }));
  return { networks: networks.toSorted((left, right) => right.at - left.at).slice(0, NETWORKS_MAX), newNetworkAt };
}
