import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aDevice, aFinding, aScan } from "../../../test/harness/entities-sweep.ts";
import { systemClock } from "../../lib/clock.ts";
import { openStore } from "../../store/open-store.ts";
import { pruneSweep } from "./prune-sweep.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

test("passes bring a backlog down to what is kept, and no open finding is dropped", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-prune-"));
  const store = await openStore({ dataDir, clock: systemClock });
  const now = 1000 * DAY_MS;
  const scans = Array.from({ length: 125 }, (_item, index) =>
    aScan({ id: `00000000-0000-7000-8000-${String(index).padStart(12, "0")}` }),
  );
  const [open, resolved] = [aFinding(), aFinding({ status: "resolved", resolvedAt: 1 })];
  const [quiet, live] = [aDevice(), aDevice()];
  await store.transaction(async (repositories) => {
    for (const scan of scans) await repositories.scans.insert(scan);
    await repositories.findings.insert([open, resolved]);
    const change = "seen" as const;
    await repositories.findings.record(scans[0]?.id ?? "", [
      { findingId: open.id, change },
      { findingId: resolved.id, change },
    ]);
    for (const [device, days] of [[quiet, 91] as const, [live, 89] as const]) {
      await repositories.devices.insert(device);
      const at = now - days * DAY_MS;
      const report = { deviceId: device.id, reportId: "r", takenAt: at, receivedAt: at, compressed: "" };
      await repositories.devices.saveReport(report);
    }
  });
  const left = () =>
    store.read(async (repositories) => {
      const stored = await Promise.all(scans.map(({ id }) => repositories.scans.get(id).catch(() => undefined)));
      return stored.filter((scan) => scan !== undefined).length;
    });
  const counts: number[] = [];
  for (let pass = 0; pass < 4; pass += 1) {
    await store.transaction((repositories) => pruneSweep(repositories, now));
    counts.push(await left());
  }
  expect(counts).toEqual([115, 105, 100, 100]);
  await store.read(async ({ scans: kept, findings, devices }) => {
    expect((await kept.latest())?.id).toBe(scans.at(-1)?.id);
    expect(await findings.findByKeys([open.key, resolved.key])).toEqual([open]);
    const reports = await devices.withReports([quiet.id, live.id]);
    expect(reports.filter(({ report }) => report !== undefined).map(({ device }) => device.id)).toEqual([live.id]);
  });
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});
