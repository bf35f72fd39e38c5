import type { Repositories } from "../../store/ports.ts";

/** Three months of daily scans. What each said of thousands of findings is most of what the sweep stores. */
const SCANS_KEPT = 100;
/** A device that was silent for so long is gone or not ours any more; its findings stay open until somebody says what became of it. */
const REPORT_DAYS = 90;
const DAY_MS = 24 * 60 * 60 * 1000;

/** So that a backlog is cleared in several passes and none holds up the others that write. */
const PASS = { scans: 10, findings: 2000, reports: 1000 };

/**
 * Drops what nobody will ask for: scans beyond the newest, resolved findings that none of the others mentions, reports of devices that
 * went silent. Runs with each scan, bounded; an open finding is never dropped.
 */
export async function pruneSweep(
  { scans, findings, devices }: Pick<Repositories, "scans" | "findings" | "devices">,
  now: number,
): Promise<void> {
  await scans.dropOldest(SCANS_KEPT, PASS.scans);
  await findings.dropForgotten(PASS.findings);
  await devices.dropReports(now - REPORT_DAYS * DAY_MS, PASS.reports);
}
