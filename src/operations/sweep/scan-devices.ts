import { setTimeout as sleep } from "node:timers/promises";
import type { Device } from "../../domain/device.ts";
import type { ScanCoverage } from "../../domain/scan.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { Repositories } from "../../store/ports.ts";
import type { Matcher } from "../../sweep/match.ts";
import type { RunOptions } from "./run-plan.ts";
import { judgeReport, parseStoredReport } from "./device-sightings.ts";
import { mergeSightings, NO_COUNTS, type Sightings } from "./sightings.ts";

interface DeviceScanOptions extends Pick<RunOptions, "read" | "progress" | "signal"> {
  readonly matcher: Matcher;
  /** Reports that came at this time or later are answers. */
  readonly askedAt: number;
}

const POLL_MS = 500;
const PAGE_ROWS = 1000;
/** Running reporters check in more often (see `submit_device_report`): one that was silent for longer is off, and nobody waits for it. */
const SILENT_MS = 5 * 60_000;

/** Waits until the devices have reported afresh, or the time is over; then judges what each said last. */
export async function scanDevices(ids: readonly string[], options: DeviceScanOptions): Promise<Sightings> {
  await waitForReports(ids, options);
  const parts: Sightings[] = [];
  for (const id of ids) parts.push(await scanDevice(id, options));
  return mergeSightings(parts);
}

async function waitForReports(ids: readonly string[], options: DeviceScanOptions): Promise<void> {
  const { read, progress, signal, askedAt } = options;
  let waiting: ReadonlySet<string> = new Set(ids);
  for (;;) {
    const devices = await read((repositories) => listDevices(repositories, waiting));
    waiting = new Set(devices.filter((device) => isAwaited(device, askedAt)).map(({ id }) => id));
    const settled = ids.length - waiting.size;
    progress(settled, ids.length, `${settled} of ${ids.length} devices answered or are off`);
    if (waiting.size === 0 || signal.aborted) return;
    // An abort ends the wait; what has come by then is judged.
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function listDevices({ devices }: Repositories, wanted: ReadonlySet<string>): Promise<Device[]> {
  const found: Device[] = [];
  for (let after: string | undefined; ;) {
    const page = await devices.list(undefined, { limit: PAGE_ROWS, after });
    found.push(...page.items.filter(({ id }) => wanted.has(id)));
    if (page.next === undefined) return found;
    after = page.next;
  }
}

function isAwaited({ reportedAt, lastSeenAt }: Device, askedAt: number): boolean {
  const hasAnswered = reportedAt !== null && reportedAt >= askedAt;
  return !hasAnswered && lastSeenAt !== null && askedAt - lastSeenAt < SILENT_MS;
}

async function scanDevice(id: string, { read, matcher, askedAt }: DeviceScanOptions): Promise<Sightings> {
  const { device, report } = await read(async ({ devices }) => ({
    device: await devices.get(id),
    report: await devices.report(id),
  }));
  if (report === undefined) return silent(device, "never reported");
  const sightings = judgeReport(parseStoredReport(report.body), { device, matcher });
  if (report.receivedAt >= askedAt) return sightings;
  // What it said before still stands, but that something is gone only a fresh report can say.
  const { coverage } = silent(
    device,
    `did not answer; judged by its report of ${toRfc3339(report.takenAt)}`,
    "partial",
  );
  return { ...sightings, coverage, read: [] };
}

function silent(device: Device, reason: string, status: ScanCoverage["status"] = "skipped"): Sightings {
  const coverage: ScanCoverage[] = [{ target: "devices", place: device.name, status, reason }];
  return { observations: [], read: [], unread: [], coverage, counts: NO_COUNTS };
}
