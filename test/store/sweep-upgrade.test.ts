import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { aDevice, aFinding } from "../harness/entities-sweep.ts";

let dataDir = "";
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-upgrade-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const BEFORE_FLEETS = `
  alter table device_reports rename column compressed to body;
  drop index findings_status;
  drop index scan_findings_finding;
  alter table findings drop column last_seen_at;
  alter table server_tools drop column absent_since;
  delete from schema_migrations where version >= 9;
`;

test("a database from before fleets keeps its findings, and asks its devices for fresh reports", async () => {
  const [finding, device] = [aFinding({ lastSeenAt: 4711 }), aDevice({ lastSeenAt: 9, reportedAt: 9 })];
  const first = await openStore({ dataDir, clock: systemClock });
  await first.transaction(async ({ findings, devices }) => {
    await findings.insert([finding, aFinding()]);
    await devices.insert(device);
    await devices.saveReport({ deviceId: device.id, reportId: "r", takenAt: 1, receivedAt: 1, compressed: "{}" });
  });
  await first.close();
  const database = new SqliteDatabase(join(dataDir, "runlayer.db"));
  database.exec(BEFORE_FLEETS);
  database.prepare("update findings set body = ? where id = ?").run(JSON.stringify(finding), finding.id);
  const whole = "update findings set body = json_set(body, '$.lastSeenAt', 5) where id != ?";
  database.prepare(whole).run(finding.id);
  database.close();
  const second = await openStore({ dataDir, clock: systemClock });
  expect(await second.read(({ findings }) => findings.get(finding.id))).toEqual(finding);
  expect(await second.read(({ devices }) => devices.withReports([device.id]))).toEqual([
    { device: { ...device, reportedAt: null } },
  ]);
  await second.close();
});
