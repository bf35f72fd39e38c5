import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inDatabase } from "../../test/harness/database.ts";
import { anOrganization, aServer } from "../../test/harness/entities.ts";
import { systemClock } from "../lib/clock.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/ports.ts";
import { createMasterKey } from "../vault/envelope.ts";
import { createVault } from "../vault/vault.ts";
import { createLiveView, type LiveView } from "./live-view.ts";

let dataDir: string;
let store: Store;
let view: LiveView;
let problems: unknown[];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-view-"));
  store = await openStore({ dataDir, clock: systemClock });
  await store.transaction((tx) => tx.organization.insert(anOrganization()));
  problems = [];
  const vault = createVault(createMasterKey(randomBytes(32)));
  view = await createLiveView({ store, vault, onProblem: (error) => problems.push(error) });
});

afterEach(async () => {
  view.close();
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A server is inserted and committed, and then its row cannot be read. */
const FAULT =
  "create trigger fault after insert on servers begin update servers set header_names = '[' where id = new.id; end";

const [first, second] = [aServer({ name: "first" }), aServer({ name: "second" })];

test("finds each server by its name after one took the name of another", async () => {
  await store.transaction(async (tx) => {
    await tx.servers.insert(first);
    await tx.servers.insert(second);
  });
  await store.transaction(async (tx) => {
    await tx.servers.save({ ...first, name: "between", version: 2 });
    await tx.servers.save({ ...second, name: "first", version: 2 });
    await tx.servers.save({ ...first, name: "second", version: 3 });
  });
  expect(view.current.serverIdByName).toEqual(
    new Map([
      ["first", second.id],
      ["second", first.id],
    ]),
  );
});

test("takes what it could not read along with the next change, and tells of all of it at once", async () => {
  await store.transaction((tx) => tx.servers.insert(first));
  const swaps: (readonly [boolean, readonly string[]])[] = [];
  view.onSwap((next, _previous, changes) => swaps.push([next.isBehind, changes.map(({ id }) => id)]));
  await inDatabase(dataDir, FAULT);
  await expect(store.transaction((tx) => tx.servers.insert(second))).rejects.toThrow();
  const { current } = view;
  expect(current.isBehind).toBe(true);
  // What was known is still there to be named; it is not served.
  expect(current.serverById.has(first.id)).toBe(true);
  await expect.poll(() => problems.length, { timeout: 5_000 }).toBeGreaterThan(0);
  expect(view.current).toBe(current);
  await inDatabase(dataDir, "drop trigger fault", "update servers set header_names = '[]'");
  await store.transaction((tx) => tx.servers.save({ ...first, description: "changed", version: 2 }));
  expect(view.current.isBehind).toBe(false);
  expect(view.current.serverById.get(second.id)?.server.name).toBe("second");
  expect(view.current.serverById.get(first.id)?.server.description).toBe("changed");
  expect(swaps[0]).toEqual([true, []]);
  expect(swaps[1]?.[1]).toContain(second.id);
});

test("tells the other followers of a commit that the view could not read", async () => {
  const heard: string[] = [];
  store.onCommitted(async (changes) => void heard.push(...changes.map(({ id }) => id)));
  await inDatabase(dataDir, FAULT);
  await expect(store.transaction((tx) => tx.servers.insert(second))).rejects.toThrow();
  expect(heard).toContain(second.id);
});
