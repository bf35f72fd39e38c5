import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import type { DeviceReportForm, DeviceReportSection } from "../../sweep/device-report-form.ts";
import { toReportSection } from "../../sweep/device-report.ts";
import { homeContext, outermostFirst, platformName, userOfHome } from "../../sweep/homes.ts";
import { readOwnNetwork } from "../../sweep/local-address.ts";
import { readProcesses } from "../../sweep/processes.ts";
import { withRegisteredDigests } from "../registered-digests.ts";
import type { ScanProgress } from "../../sweep/run-scan.ts";
import { scanHome, type ScanHomeOptions } from "../../sweep/scan-home.ts";
import { packReport } from "./pack-report.ts";

/** What a report covers. */
export interface ReportScope {
  /** Only these homes, and no processes. */
  readonly homes?: readonly string[] | undefined;
  /** The homes of everybody on this machine; what may not be read is said in the report. */
  readonly isForAllUsers: boolean;
}

interface ReportOptions {
  readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads this machine and gives a report: redacted, gzip, base64. Reads only; starts nothing, sends nothing. Throws when the signal fires. */
export async function makeReport(scope: ReportScope, hashKey: string, options: ReportOptions = {}): Promise<string> {
  const report: DeviceReportForm = {
    version: 1,
    id: randomUUID(),
    takenAt: new Date().toISOString(),
    hostname: hostname(),
    platform: platformName(),
    networkId: (await readOwnNetwork("/proc", hashKey)).id,
    sections: await readSections(scope, hashKey, options),
  };
  return packReport(report);
}

async function readSections(
  scope: ReportScope,
  hashKey: string,
  { onProgress, signal }: ReportOptions,
): Promise<DeviceReportSection[]> {
  const sections: DeviceReportSection[] = [];
  const homes = await outermostFirst(await homesOf(scope));
  const seen = new Set<string>();
  const total = homes.length + (scope.homes === undefined ? 1 : 0);
  for (const [done, home] of homes.entries()) {
    onProgress?.({ done, total, message: `reading ${home}` });
    sections.push(await readHome({ ...homeContext(home), seen, signal }, hashKey));
    signal?.throwIfAborted();
  }
  if (scope.homes === undefined) {
    onProgress?.({ done: homes.length, total, message: "reading processes and ports" });
    sections.push(toReportSection(await readProcesses({ signal }), { place: "processes" }, hashKey));
  }
  signal?.throwIfAborted();
  onProgress?.({ done: total, total, message: "read" });
  return sections;
}

async function readHome(options: ScanHomeOptions, hashKey: string): Promise<DeviceReportSection> {
  const { home } = options;
  const facts = await withRegisteredDigests(await scanHome(options));
  return toReportSection(facts, { place: "home", path: home, user: userOfHome(home) }, hashKey);
}

async function homesOf({ homes, isForAllUsers }: ReportScope): Promise<readonly string[]> {
  if (homes !== undefined) return homes;
  if (!isForAllUsers) return [homedir()];
  const parent = { darwin: "/Users", linux: "/home", win32: "C:\\Users" }[platformName()];
  const names = await readdir(parent, { withFileTypes: true }).catch(() => []);
  const found = names.filter((entry) => entry.isDirectory()).map((entry) => join(parent, entry.name));
  return [...found, homedir()];
}
