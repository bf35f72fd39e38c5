/** So many additions, and the entries that are left move to a new map. */
const ADDITIONS_MAX = 256;

/**
 * A map, in the order of addition, for entries that come and go thousands of times a second. V8 links each table that a `Map`
 * leaves behind to its next one, so a single dead table in the old generation keeps all later ones alive, with everything that they held,
 * until a full collection: half of what a call allocates was copied and promoted that way. Here no chain grows long.
 */
export class TransientMap<K, V> {
  #entries = new Map<K, V>();
  #additions = 0;

  get size(): number {
    return this.#entries.size;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  get(key: K): V | undefined {
    return this.#entries.get(key);
  }

  set(key: K, value: V): void {
    this.#additions += 1;
    if (this.#additions > ADDITIONS_MAX + this.#entries.size) this.#renew();
    this.#entries.set(key, value);
  }

  /** False where it was not there. */
  delete(key: K): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Entries MUST NOT be added while this is read. */
  entries(): MapIterator<[K, V]> {
    return this.#entries.entries();
  }

  values(): MapIterator<V> {
    return this.#entries.values();
  }

  keys(): MapIterator<K> {
    return this.#entries.keys();
  }

  /** The table that is left behind holds nothing: it may live on. */
  #renew(): void {
    const left = this.#entries;
    this.#entries = new Map();
    this.#additions = 0;
    for (const [key, value] of left) {
      left.delete(key);
      this.#entries.set(key, value);
    }
  }
}
