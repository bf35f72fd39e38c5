import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { openStore } from "../../store/open-store.ts";
import { createReportRequests } from "./report-request.ts";

const MINUTE_MS = 60_000;

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-requests-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const open = () => openStore({ dataDir, clock: systemClock });

test("asks those that are named, or all, also after a restart", async () => {
  const first = await open();
  const requests = createReportRequests(first);
  expect(await requests.requestedAt("a")).toBe(0);
  await requests.request(10);
  await requests.request(20, ["a"]);
  await requests.request(30, ["b"]);
  const asked = async (from: typeof requests) => Promise.all(["a", "b", "c"].map((device) => from.requestedAt(device)));
  expect(await asked(requests)).toEqual([20, 30, 10]);
  await first.close();
  expect(await asked(requests), "without a look into the database").toEqual([20, 30, 10]);

  const second = await open();
  const again = createReportRequests(second);
  expect(await asked(again)).toEqual([20, 30, 10]);
  await again.request(40);
  expect(await asked(again)).toEqual([40, 40, 40]);
  await second.close();
});

test("a restart forgets nothing that others were asked before", async () => {
  const first = await open();
  await createReportRequests(first).request(10, ["a"]);
  const again = createReportRequests(first);
  await again.request(20, ["b"]);
  expect(await again.requestedAt("a")).toBe(10);
  await again.request(10 + 15 * MINUTE_MS, ["c"]);
  expect(await again.requestedAt("a"), "nobody waits any more").toBe(0);
  expect(await again.requestedAt("b")).toBe(20);
  await first.close();
});

test("understands what earlier versions stored: when all were asked", async () => {
  const store = await open();
  await store.transaction(({ values }) => values.set("sweep.reports-requested-at", "4711"));
  expect(await createReportRequests(store).requestedAt("a")).toBe(4711);
  await store.close();
});
