import { assert } from "../lib/assert.ts";
import type { Change, Repositories, Store } from "../store/ports.ts";
import type { Vault } from "../vault/vault.ts";
import { loadAll, reload, type MutableSnapshot } from "./load.ts";
import type { Snapshot } from "./snapshot.ts";

/** Called synchronously with each new snapshot. MUST NOT throw: it ends what the change forbids before the operation answers. */
export type SwapListener = (next: Snapshot, previous: Snapshot, changes: readonly Change[]) => void;

/** The current snapshot and its succession: the only way in which management reaches the gateway. */
export interface LiveView {
  readonly current: Snapshot;
  /** Gives a function that ends the subscription. */
  onSwap(listener: SwapListener): () => void;
}

/** No message is decided from these. */
const NOT_IN_VIEW: ReadonlySet<Change["kind"]> = new Set(["approval", "auditEvent", "scan"]);

/** Loads the whole view and follows the store: after each commit the touched objects are reloaded and the view is swapped. */
export async function createLiveView(store: Store, vault: Vault): Promise<LiveView> {
  const listeners = new Set<SwapListener>();
  let current: Snapshot = await store.read((repositories) => loadAll({ repositories, vault }));
  store.onCommitted(async (changes) => {
    const relevant = changes.filter((change) => !NOT_IN_VIEW.has(change.kind));
    if (relevant.length === 0) return;
    const previous = current;
    current = await store.read((repositories) => rebuild(previous, relevant, { repositories, vault }));
    for (const listener of listeners) listener(current, previous, relevant);
  });
  return {
    get current() {
      return current;
    },
    onSwap(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

async function rebuild(
  previous: Snapshot,
  changes: readonly Change[],
  sources: { repositories: Repositories; vault: Vault },
): Promise<Snapshot> {
  const next = copyTouched(previous, new Set(changes.map((change) => change.kind)));
  const seen = new Set<string>();
  for (const change of changes) {
    const key = `${change.kind} ${change.id}`;
    if (!seen.has(key)) await reload(next, change, sources);
    seen.add(key);
  }
  assert(next.revision === previous.revision + 1, "a swap raises the revision by one");
  return next;
}

/** A new snapshot that copies only the maps that the change will write to. */
function copyTouched(previous: Snapshot, kinds: ReadonlySet<Change["kind"]>): MutableSnapshot {
  const copy = <K, V>(kind: Change["kind"], map: ReadonlyMap<K, V>): Map<K, V> =>
    kinds.has(kind) || !(map instanceof Map) ? new Map(map) : map;
  return {
    revision: previous.revision + 1,
    organization: previous.organization,
    keyByHash: copy("apiKey", previous.keyByHash),
    keyById: copy("apiKey", previous.keyById),
    agentById: copy("agent", previous.agentById),
    serverById: copy("server", previous.serverById),
    serverIdByName: copy("server", previous.serverIdByName),
    skillById: copy("skill", previous.skillById),
    skillIdByName: copy("skill", previous.skillIdByName),
    memberById: copy("member", previous.memberById),
    groupById: copy("group", previous.groupById),
    policies: previous.policies,
  };
}
