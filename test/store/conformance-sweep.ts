import { describe, expect, test } from "vitest";
import { newId } from "../../src/lib/ids.ts";
import type { Finding } from "../../src/domain/finding.ts";
import type { Scan } from "../../src/domain/scan.ts";
import type { Repositories, Store } from "../../src/store/ports.ts";
import { aDevice, aFinding, aScan } from "../harness/entities-sweep.ts";

const UNICODE = "Zoë 🦊 日本語 \u202Eabc\u200B \"quoted\" 'single' \\ %_ \0 nul";
const FIRST = { limit: 50 };
const NOW = 1_000_000;

interface Subject {
  store(): Store;
}

/** What every store promises of scans, findings and devices. */
export function sweepConformance(subject: Subject): void {
  const write = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().transaction(work);
  const read = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().read(work);
  const insert = (...findings: Finding[]) => write((repositories) => repositories.findings.insert(findings));

  describe("scans", () => {
    test("come back exactly, and the newest is the latest", async () => {
      const first = aScan({
        coverage: [{ target: "host", place: UNICODE, status: "skipped", reason: "no permission" }],
      });
      // Ids sort by the millisecond in which they were made.
      await new Promise((resolve) => setTimeout(resolve, 3));
      const second = aScan({ status: "running", summary: null, finishedAt: null });
      await write(async ({ scans }) => {
        await scans.insert(first);
        await scans.insert(second);
      });
      expect(await read(({ scans }) => scans.get(first.id))).toEqual(first);
      expect(await read(({ scans }) => scans.latest())).toEqual(second);
      expect(await read(({ scans }) => scans.latestWithResults())).toEqual(first);
      const failed = { ...second, status: "failed" as const, error: UNICODE };
      await write(({ scans }) => scans.save(failed));
      expect(await read(({ scans }) => scans.get(second.id))).toEqual(failed);
      await expect(read(({ scans }) => scans.get(newId()))).rejects.toMatchObject({ code: "not_found" });
    });
  });

  describe("findings", () => {
    test("come back exactly, with strange texts, and are found by key once resolved", async () => {
      const finding = aFinding({
        evidence: UNICODE,
        instances: [{ place: "p", device: UNICODE, path: UNICODE, line: 3 }],
      });
      const resolved = aFinding({ status: "resolved", resolvedAt: 7 });
      await insert(finding, resolved);
      expect(await read(({ findings }) => findings.get(finding.id))).toEqual(finding);
      const unresolved = await read(({ findings }) => findings.unresolvedKeys());
      expect([unresolved.includes(finding.key), unresolved.includes(resolved.key)]).toEqual([true, false]);
      const keys = [resolved.key, newId(), finding.key];
      const known = await read(({ findings }) => findings.findByKeys(keys));
      expect(known).toHaveLength(2);
      expect(known).toEqual(expect.arrayContaining([finding, resolved]));
      await expect(insert(aFinding({ key: finding.key }))).rejects.toThrow();
    });

    test("are changed by version, and observed without", async () => {
      const finding = aFinding();
      await insert(finding);
      const changed = { ...finding, status: "acknowledged" as const, version: 2 };
      await write(({ findings }) => findings.save(changed));
      await expect(write(({ findings }) => findings.save(changed))).rejects.toMatchObject({ code: "conflict" });
      await write(({ findings }) => findings.saveSeen({ ...changed, devices: 7, lastSeenAt: 99 }));
      const seen = { ...changed, devices: 7, lastSeenAt: 99 };
      expect(await read(({ findings }) => findings.get(finding.id))).toEqual(seen);
      await write(({ findings }) => findings.saveLastSeen([newId(), finding.id], 100));
      expect(await read(({ findings }) => findings.get(finding.id))).toEqual({ ...seen, lastSeenAt: 100 });
      await write(({ findings }) => findings.saveLastSeen([], 101));
    });

    test("are kept in thousands, with what a scan said of each", async () => {
      const [scan, many] = [aScan(), Array.from({ length: 1_203 }, () => aFinding({ status: "acknowledged" }))];
      await insert(...many);
      await write(async ({ scans, findings }) => {
        await scans.insert(scan);
        await findings.record(
          scan.id,
          many.map(({ id }) => ({ findingId: id, change: "seen" as const })),
        );
        await findings.saveLastSeen(
          many.map(({ id }) => id),
          42,
        );
      });
      const found = await read(({ findings }) => findings.findByKeys(many.map(({ key }) => key)));
      expect(found.filter(({ lastSeenAt }) => lastSeenAt === 42)).toHaveLength(1_203);
      const listed = await read(({ findings }) => findings.list({ scanId: scan.id, now: NOW }, FIRST));
      expect(listed.total).toBe(1_203);
    });

    test("are forgotten with the last scan that mentions them, a few at a time, and never while they are open", async () => {
      // Before all others, and after them.
      const [oldest, newest] = [aScan({ id: "00000000-0000-7000-8000-000000000001" }), aScan()];
      const resolved = () => aFinding({ status: "resolved", resolvedAt: 7 });
      const [open, first, second, kept] = [aFinding(), resolved(), resolved(), resolved()];
      const all = [open, first, second, kept];
      const left = async () => {
        const found = await read(({ findings }) => findings.findByKeys(all.map(({ key }) => key)));
        return new Set(found.map(({ id }) => id));
      };
      const mention = (scan: Scan, mentioned: readonly Finding[]) =>
        write(async ({ scans, findings }) => {
          await scans.insert(scan);
          await findings.record(
            scan.id,
            mentioned.map(({ id }) => ({ findingId: id, change: "resolved" as const })),
          );
        });
      await insert(...all);
      await mention(oldest, all);
      await mention(newest, [kept]);
      // What other tests left behind.
      await write(({ findings }) => findings.dropForgotten(1000));
      expect((await left()).size).toBe(4);
      expect(await write(({ scans }) => scans.dropOldest(1, 1))).toBe(1);
      await expect(read(({ scans }) => scans.get(oldest.id))).rejects.toMatchObject({ code: "not_found" });
      expect(await read(({ scans }) => scans.get(newest.id))).toEqual(newest);
      expect(await write(({ findings }) => findings.dropForgotten(1))).toBe(1);
      expect(await write(({ findings }) => findings.dropForgotten(1000))).toBe(1);
      expect(await left()).toEqual(new Set([open.id, kept.id]));
      expect(await write(({ scans }) => scans.dropOldest(1000, 10))).toBe(0);
    });

    test("are listed worst first, page by page, by what they are", async () => {
      const scan = aScan();
      const made = (["low", "critical", "medium", "high", "critical"] as const).map((severity) =>
        aFinding({ severity, kind: severity === "low" ? "drift" : "shadow_server", title: `100% ${severity}` }),
      );
      await insert(...made);
      await write(async ({ scans, findings }) => {
        await scans.insert(scan);
        await findings.record(
          scan.id,
          made.map(({ id }, index) => ({ findingId: id, change: index === 0 ? ("seen" as const) : ("new" as const) })),
        );
      });
      const list = (given: object, after?: string) =>
        read(({ findings }) => findings.list({ scanId: scan.id, now: NOW, ...given }, { limit: 2, after }));
      const seen: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await list({}, after);
        expect(page.total).toBe(5);
        seen.push(...page.items.map(({ severity }) => severity));
        if (page.next === undefined) break;
        after = page.next;
      }
      expect(seen).toEqual(["critical", "critical", "high", "medium", "low"]);
      expect((await list({ kind: "drift" })).total).toBe(1);
      expect((await list({ severity: "critical" })).total).toBe(2);
      expect((await list({ query: "100% HIGH" })).total).toBe(1);
      expect((await list({ status: "resolved" })).total).toBe(0);
      expect((await list({ change: "new" })).total).toBe(4);
    });

    test("are found by the whole name of a device", async () => {
      const finding = aFinding({ instances: [{ place: "p", device: `laptop-${newId()}` }] });
      await insert(finding);
      const device = finding.instances[0]?.device ?? "";
      const count = async (name: string) =>
        (await read(({ findings }) => findings.list({ device: name, now: NOW }, FIRST))).total;
      expect([await count(device), await count(device.slice(0, -1))]).toEqual([1, 0]);
    });

    test("open again when a suppression is over, and count as such", async () => {
      const serverId = newId();
      const handling = { by: { type: "key", id: "k", name: "n" }, at: 1, owner: null, reason: "r" };
      const over = aFinding({ serverId, status: "suppressed", handling: { ...handling, expiresAt: NOW - 1 } });
      const held = aFinding({ serverId, status: "suppressed", handling: { ...handling, expiresAt: NOW + 1 } });
      const forGood = aFinding({ serverId, status: "suppressed", handling: { ...handling, expiresAt: null } });
      const before = await read(({ findings }) => findings.countBySeverity(NOW));
      await insert(over, held, forGood, aFinding({ serverId, status: "acknowledged" }));
      const ids = async (status: Finding["status"]) =>
        (await read(({ findings }) => findings.list({ status, now: NOW }, { limit: 200 }))).items.map(({ id }) => id);
      expect(await ids("open")).toContain(over.id);
      expect(await ids("suppressed")).toEqual(expect.arrayContaining([held.id, forGood.id]));
      expect(await ids("suppressed")).not.toContain(over.id);
      const after = await read(({ findings }) => findings.countBySeverity(NOW));
      expect(after.medium).toBe(before.medium + 1);
      const byServer = await read(({ findings }) => findings.countByServer([serverId, newId()], NOW));
      expect([...byServer]).toEqual([[serverId, 1]]);
      expect((await read(({ findings }) => findings.countByServer([], NOW))).size).toBe(0);
    });
  });

  describe("devices", () => {
    test("come back by id, name and key, and keep their newest report", async () => {
      const device = aDevice({ hostname: UNICODE, platform: "linux" });
      await write(({ devices }) => devices.insert(device));
      expect(await read(({ devices }) => devices.get(device.name))).toEqual(device);
      expect(await read(({ devices }) => devices.find(device.id))).toEqual(device);
      expect(await read(({ devices }) => devices.findByKey(device.keyId))).toEqual(device);
      await expect(write(({ devices }) => devices.insert(aDevice({ name: device.name })))).rejects.toMatchObject({
        code: "conflict",
      });
      await write(({ devices }) => devices.saveSeen({ id: device.id, lastSeenAt: 5, reportedAt: 4, hostname: "h" }));
      await write(({ devices }) => devices.saveSeen({ id: device.id, lastSeenAt: 6 }));
      const seen = { ...device, lastSeenAt: 6, reportedAt: 4, hostname: "h" };
      expect(await read(({ devices }) => devices.get(device.id))).toEqual(seen);
      expect((await read(({ devices }) => devices.list(device.name.toUpperCase(), FIRST))).total).toBe(1);
    });

    test("keep the newest report, whatever comes again or late", async () => {
      const [device, silent] = [aDevice(), aDevice()];
      await write(async ({ devices }) => {
        await devices.insert(device);
        await devices.insert(silent);
      });
      const send = (reportId: string, takenAt: number) =>
        write(({ devices }) =>
          devices.saveReport({ deviceId: device.id, reportId, takenAt, receivedAt: takenAt, compressed: reportId }),
        );
      expect(await send("a", 10)).toBe("taken");
      expect(await send("a", 10)).toBe("duplicate");
      expect(await send("b", 9)).toBe("older");
      expect(await send("c", 10)).toBe("taken");
      const report = { deviceId: device.id, reportId: "c", takenAt: 10, receivedAt: 10, compressed: "c" };
      const both = await read(({ devices }) => devices.withReports([silent.id, newId(), device.id]));
      expect(both).toEqual(
        [{ device, report }, { device: silent }].toSorted((left, right) => (left.device.id < right.device.id ? -1 : 1)),
      );
      expect(await read(({ devices }) => devices.withReports([]))).toEqual([]);
      expect(await write(({ devices }) => devices.dropReports(10, 100))).toBe(0);
      expect(await write(({ devices }) => devices.dropReports(11, 100))).toBe(1);
      expect(await read(({ devices }) => devices.withReports([device.id]))).toEqual([{ device }]);
    });

    test("give their keys, and lose the reports of some", async () => {
      const made = Array.from({ length: 3 }, () => aDevice()).toSorted((left, right) => (left.id < right.id ? -1 : 1));
      const [first, second, third] = made.map(({ id }) => id);
      const reportOf = (deviceId = "") => ({ deviceId, reportId: "r", takenAt: 1, receivedAt: 1, compressed: "r" });
      await write(async ({ devices }) => {
        for (const device of made) await devices.insert(device);
        await devices.saveReport(reportOf(first));
        await devices.saveReport(reportOf(second));
      });
      const keys = (await read(({ devices }) => devices.keys())).filter(({ id }) => made.some((one) => one.id === id));
      expect(keys).toEqual(made.map(({ id, name, keyId }) => ({ id, name, keyId })));
      const many = Array.from({ length: 600 }, () => newId());
      const drop = () => write(({ devices }) => devices.dropReportsOf([...many, first ?? "", third ?? ""]));
      expect([await drop(), await drop()]).toEqual([[first], []]);
      const left = await read(({ devices }) => devices.withReports([first ?? "", second ?? ""]));
      expect(left.map(({ report }) => report?.deviceId)).toEqual([undefined, second]);
    });

    test("owe a report when they were seen lately and have not reported since it was asked for", async () => {
      const made = [
        aDevice({ lastSeenAt: 100, reportedAt: null }),
        aDevice({ lastSeenAt: 100, reportedAt: 89 }),
        aDevice({ lastSeenAt: 89, reportedAt: 89 }),
        aDevice({ lastSeenAt: 88, reportedAt: 89 }),
        aDevice({ lastSeenAt: 100, reportedAt: 90 }),
        aDevice({ lastSeenAt: 50, reportedAt: null }),
        aDevice(),
      ];
      await write(async ({ devices }) => {
        for (const device of made) await devices.insert(device);
      });
      const owing = await read(({ devices }) => devices.owingReport(90, 50));
      expect(made.map(({ id }) => owing.includes(id))).toEqual([true, true, true, false, false, false, false]);
    });
  });
}
