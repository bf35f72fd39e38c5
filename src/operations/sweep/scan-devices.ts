import { setTimeout as sleep } from "node:timers/promises";
import type { Device, DeviceReport } from "../../domain/device.ts";
import type { ScanCoverage } from "../../domain/scan.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { OwnNetwork } from "../../sweep/local-address.ts";
import type { Matcher } from "../../sweep/match.ts";
import type { RunOptions } from "./run-plan.ts";
import { judgeReport } from "./device-sightings.ts";
import { unpackReport } from "./packed-report.ts";
import { NO_COUNTS, type Sightings } from "./sightings.ts";
import type { Tally } from "./tally-sightings.ts";

interface DeviceScanOptions extends Pick<RunOptions, "read" | "progress" | "signal"> {
  readonly matcher: Matcher;
  /** Of the machine that judges. */
  readonly network: OwnNetwork;
  /** Reports that came at this time or later are answers. */
  readonly askedAt: number;
}

const POLL_MS = 500;
/** Reports of so many devices are in memory at once, and judged without a pause: some ms. */
const PAGE_DEVICES = 25;
/** Running reporters check in more often (see `submit_device_report`): one that was silent for longer is off, and nobody waits for it. */
const SILENT_MS = 5 * 60_000;

/** Waits until the devices have reported afresh, or the time is over; then judges what each said last, and adds it to the tally. */
export async function scanDevices(ids: readonly string[], options: DeviceScanOptions, tally: Tally): Promise<void> {
  await waitForReports(ids, options);
  for (let from = 0; from < ids.length; from += PAGE_DEVICES) {
    const some = ids.slice(from, from + PAGE_DEVICES);
    for (const { device, report } of await options.read(({ devices }) => devices.withReports(some))) {
      tally.add(report === undefined ? silent(device, "never reported") : await judge(device, report, options));
    }
  }
}

async function waitForReports(ids: readonly string[], options: DeviceScanOptions): Promise<void> {
  const { read, progress, signal, askedAt } = options;
  const wanted = new Set(ids);
  for (;;) {
    const owing = await read(({ devices }) => devices.owingReport(askedAt, askedAt - SILENT_MS));
    const settled = ids.length - owing.filter((id) => wanted.has(id)).length;
    progress(settled, ids.length, `${settled} of ${ids.length} devices answered or are off`);
    if (settled === ids.length || signal.aborted) return;
    // An abort ends the wait; what has come by then is judged.
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function judge(
  device: Device,
  report: DeviceReport,
  { matcher, network, askedAt }: DeviceScanOptions,
): Promise<Sightings> {
  const sightings = judgeReport(await unpackReport(report.compressed), { device, matcher, network });
  if (report.receivedAt >= askedAt) return sightings;
  // What it said before still stands, but that something is gone only a fresh report can say.
  const by = `judged by its report of ${toRfc3339(report.takenAt)}`;
  const { coverage } = reportsItself(device)
    ? silent(device, `did not answer; ${by}`, "partial")
    : silent(device, `does not report by itself, as \`runlayer scan\` reports for it; ${by}`, "read");
  return { ...sightings, coverage, read: [] };
}

/** Not so where an organization key reported for it, and nothing checked in since (see `submit_device_report`): nobody waits for such a device. */
function reportsItself({ lastSeenAt, reportedAt }: Device): boolean {
  return reportedAt === null || (lastSeenAt !== null && lastSeenAt >= reportedAt);
}

function silent(device: Device, reason: string, status: ScanCoverage["status"] = "skipped"): Sightings {
  const coverage: ScanCoverage[] = [{ target: "devices", place: device.name, status, reason }];
  return { observations: [], read: [], unread: [], coverage, counts: NO_COUNTS };
}
