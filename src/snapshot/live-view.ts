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
  /** Stops trying to catch up. */
  close(): void;
}

export interface LiveViewOptions {
  readonly store: Store;
  readonly vault: Vault;
  /** Told why the view stays behind. MUST NOT throw. */
  readonly onProblem: (error: unknown) => void;
}

/** No message is decided from these. */
const NOT_IN_VIEW: ReadonlySet<Change["kind"]> = new Set(["approval", "auditEvent", "scan"]);
/** A connection that was lost is often there again at once; a database that is down is not asked all the time. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** Loads the whole view and follows the store: after each commit the touched objects are reloaded and the view is swapped. */
export async function createLiveView(options: LiveViewOptions): Promise<LiveView> {
  const { store, vault } = options;
  const view = new FollowingView(options, await store.read((repositories) => loadAll({ repositories, vault })));
  store.onCommitted((changes) => view.follow(changes));
  return view;
}

/**
 * What was committed and could not be read stays pending: it is part of each further attempt, and until one succeeds the view
 * says that it is behind.
 */
class FollowingView implements LiveView {
  readonly #options: LiveViewOptions;
  readonly #listeners = new Set<SwapListener>();
  readonly #pending = new Map<string, Change>();
  #current: Snapshot;
  /** The latest attempt; the next one waits for it. */
  #attempt: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #retryMs = RETRY_MS_MIN;
  #isClosed = false;

  constructor(options: LiveViewOptions, loaded: Snapshot) {
    this.#options = options;
    this.#current = loaded;
  }

  get current(): Snapshot {
    return this.#current;
  }

  onSwap(listener: SwapListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Resolves when the changes are in the view; rejects where they cannot be read now. */
  async follow(changes: readonly Change[]): Promise<void> {
    const relevant = changes.filter((change) => !NOT_IN_VIEW.has(change.kind));
    for (const change of relevant) this.#pending.set(`${change.kind} ${change.id}`, change);
    if (relevant.length > 0) await this.#catchUp();
  }

  #catchUp(): Promise<void> {
    const attempt = this.#attempt.then(() => this.#reload());
    // A later attempt waits for this one but does not fail with it.
    this.#attempt = attempt.catch(() => undefined);
    return attempt;
  }

  async #reload(): Promise<void> {
    const { store, vault } = this.#options;
    const changes = [...this.#pending];
    if (changes.length === 0) return;
    const touched = changes.map(([, change]) => change);
    let next: Snapshot;
    try {
      next = await store.read((repositories) => rebuild(this.#current, touched, { repositories, vault }));
    } catch (error) {
      this.#fallBehind();
      throw error;
    }
    // What was touched again meanwhile has an attempt of its own coming.
    for (const [key, change] of changes) if (this.#pending.get(key) === change) this.#pending.delete(key);
    this.#retryMs = RETRY_MS_MIN;
    this.#swap(next, touched);
  }

  #fallBehind(): void {
    const { current } = this;
    if (!current.isBehind) this.#swap({ ...current, revision: current.revision + 1, isBehind: true }, []);
    if (this.#isClosed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#catchUp().catch(this.#options.onProblem);
    }, this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }

  #swap(next: Snapshot, changes: readonly Change[]): void {
    const previous = this.#current;
    this.#current = next;
    for (const listener of this.#listeners) listener(next, previous, changes);
  }
}

async function rebuild(
  previous: Snapshot,
  changes: readonly Change[],
  sources: { repositories: Repositories; vault: Vault },
): Promise<Snapshot> {
  const next = copyTouched(previous, new Set(changes.map((change) => change.kind)));
  for (const change of changes) await reload(next, change, sources);
  assert(next.revision === previous.revision + 1, "a swap raises the revision by one");
  return next;
}

/** A new snapshot that copies only the maps that the change will write to. */
function copyTouched(previous: Snapshot, kinds: ReadonlySet<Change["kind"]>): MutableSnapshot {
  const copy = <K, V>(kind: Change["kind"], map: ReadonlyMap<K, V>): Map<K, V> =>
    kinds.has(kind) || !(map instanceof Map) ? new Map(map) : map;
  return {
    revision: previous.revision + 1,
    isBehind: false,
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
