import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { aServer } from "../../../../test/harness/entities.ts";
import { systemClock } from "../../../lib/clock.ts";
import { openStore } from "../../open-store.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-store-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("keeps what was committed across a restart, in files that only their owner reads", async () => {
  const dataDir = join(folder, "data");
  const server = aServer();
  const first = await openStore({ dataDir, clock: systemClock });
  await first.transaction(({ servers }) => servers.insert(server));
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  for (const file of ["runlayer.db", "runlayer.db-wal"]) expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
  await first.close();
  const second = await openStore({ dataDir, clock: systemClock });
  expect(await second.read(({ servers }) => servers.get(server.name))).toEqual(server);
  await second.close();
});

test("refuses a second store on the same data directory, and opens after the first has closed", async () => {
  const first = await openStore({ dataDir: folder, clock: systemClock });
  await expect(openStore({ dataDir: folder, clock: systemClock })).rejects.toMatchObject({ code: "unavailable" });
  await first.ping();
  await first.close();
  await (await openStore({ dataDir: folder, clock: systemClock })).close();
});
