import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { homedir, hostname, userInfo } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { AppError } from "../../lib/errors.ts";
import type { DeviceReportForm, DeviceReportSection } from "../../sweep/device-report-form.ts";
import { toReportSection } from "../../sweep/device-report.ts";
import { readOwnNetwork } from "../../sweep/local-address.ts";
import { readProcesses } from "../../sweep/processes.ts";
import { withRegisteredDigests } from "../registered-digests.ts";
import type { ScanProgress } from "../../sweep/run-scan.ts";
import { scanHome } from "../../sweep/scan-home.ts";

/** What a report covers. */
export interface ReportScope {
  /** Only these homes, and no processes. */
  readonly homes?: readonly string[] | undefined;
  /** The homes of everybody on this machine; what may not be read is said in the report. */
  readonly isForAllUsers: boolean;
}

/** The limit of the control plane for one report. */
const COMPRESSED_CHARACTERS_MAX = 900_000;

/** Reads this machine and gives a report: redacted, gzip, base64. Reads only; starts nothing, sends nothing. */
export async function makeReport(
  scope: ReportScope,
  hashKey: string,
  onProgress: (progress: ScanProgress) => void = () => undefined,
): Promise<string> {
  const report: DeviceReportForm = {
    version: 1,
    id: randomUUID(),
    takenAt: new Date().toISOString(),
    hostname: hostname(),
    platform: platformName(),
    networkId: (await readOwnNetwork("/proc", hashKey)).id,
    sections: await readSections(scope, hashKey, onProgress),
  };
  const compressed = (await promisify(gzip)(JSON.stringify(report))).toString("base64");
  if (compressed.length <= COMPRESSED_CHARACTERS_MAX) return compressed;
  throw new AppError(
    "payload_too_large",
    "this machine holds more than one report may; report fewer homes with `--home`",
  );
}

async function readSections(
  scope: ReportScope,
  hashKey: string,
  onProgress: (progress: ScanProgress) => void,
): Promise<DeviceReportSection[]> {
  const sections: DeviceReportSection[] = [];
  const homes = await homesOf(scope);
  const total = homes.length + (scope.homes === undefined ? 1 : 0);
  for (const [done, home] of homes.entries()) {
    onProgress({ done, total, message: `reading ${home}` });
    sections.push(await readHome(home, hashKey));
  }
  if (scope.homes === undefined) {
    onProgress({ done: homes.length, total, message: "reading processes and ports" });
    sections.push(toReportSection(await readProcesses(), { place: "processes" }, hashKey));
  }
  onProgress({ done: total, total, message: "read" });
  return sections;
}

async function readHome(home: string, hashKey: string): Promise<DeviceReportSection> {
  const isOwn = home === homedir();
  // Another person's variables are not known here, and mine do not move their files.
  const env = isOwn ? process.env : {};
  const facts = await withRegisteredDigests(await scanHome({ home, platform: platformName(), root: "/", env }));
  const user = isOwn ? userInfo().username : basename(home);
  return toReportSection(facts, { place: "home", path: home, user }, hashKey);
}

async function homesOf({ homes, isForAllUsers }: ReportScope): Promise<readonly string[]> {
  if (homes !== undefined) return homes.map((home) => resolve(home));
  if (!isForAllUsers) return [homedir()];
  const parent = { darwin: "/Users", linux: "/home", win32: "C:\\Users" }[platformName()];
  const names = await readdir(parent, { withFileTypes: true }).catch(() => []);
  const found = names.filter((entry) => entry.isDirectory()).map((entry) => join(parent, entry.name));
  return [...new Set([...found, homedir()])];
}

function platformName(): DeviceReportForm["platform"] {
  return process.platform === "darwin" || process.platform === "win32" ? process.platform : "linux";
}
