import { setTimeout as sleep } from "node:timers/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import { escapeHidden } from "../lib/escape-hidden.ts";
import { enrollDevice } from "../operations/sweep/enroll-device.ts";
import { getScanResults } from "../operations/sweep/get-scan-results.ts";
import { runMcpSweepScan } from "../operations/sweep/run-mcp-sweep-scan.ts";
import { submitDeviceReport } from "../operations/sweep/submit-device-report.ts";
import { CoverageOutput, FindingOutput, ScanOutput, ScanSummaryOutput } from "../operations/sweep/sweep-output.ts";
import { allPages, PAGE_ROWS } from "../surfaces/cli/all-pages.ts";
import { type ApiTarget, callOrThrow } from "../surfaces/cli/call-api.ts";
import { findingKey, isAtLeast } from "../sweep/finding.ts";
import { toSarif } from "../sweep/sarif.ts";
import type { ScanCommandIo, ScanCommandOptions } from "../sweep/scan-command.ts";
import { toTable } from "../sweep/scan-table.ts";
import { makeReport } from "./device/make-report.ts";

type ServerScanOptions = Pick<ScanCommandOptions, "paths" | "form" | "failOn"> & {
  /** What the organization calls this machine. */
  readonly device: string;
};

const SCAN_SECONDS_MAX = 120;
const POLL_MS = 300;
const BUSY_PAUSE_MS = 2000;

/**
 * `runlayer scan` with a server: this machine reports as a device, redacted before anything is sent, and the server matches it against
 * what is registered. Answers the exit code: 0 clean, 1 found something. Throws what the server refused.
 */
export async function runServerScan(options: ServerScanOptions, io: ScanCommandIo, target: ApiTarget): Promise<0 | 1> {
  const { paths, device, form, failOn } = options;
  const hashKey = await checkIn(device, target);
  const scope = { homes: paths.length === 0 ? undefined : paths.map((path) => resolve(path)), isForAllUsers: false };
  const compressed = await makeReport(scope, hashKey, io);
  // The scan starts first: what comes after it is its answer.
  const scanId = await startScan(device, target, io.signal);
  await callOrThrow(submitDeviceReport, { device, compressed }, target);
  const results = await readResults(scanId, target, io.signal);
  io.out(render(results, device, form));
  const counted = results.findings.filter(({ status }) => status !== "suppressed");
  return counted.some(({ severity }) => isAtLeast(severity, failOn)) ? 1 : 0;
}

/** Says that this device is there, and enrolls it where it is not known yet. Gives what the report is hashed with. */
async function checkIn(device: string, target: ApiTarget): Promise<string> {
  const CheckIn = z.object({ hashKey: z.string() });
  const input = { device };
  try {
    return CheckIn.parse(await callOrThrow(submitDeviceReport, input, target)).hashKey;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "not_found") throw error;
  }
  await callOrThrow(enrollDevice, { name: device, description: "enrolled by `runlayer scan`" }, target);
  return CheckIn.parse(await callOrThrow(submitDeviceReport, input, target)).hashKey;
}

/** A node runs one scan at a time: this one waits for its turn. */
async function startScan(device: string, target: ApiTarget, signal?: AbortSignal): Promise<string> {
  const input = { targets: ["devices"], devices: [device], wait: false, timeoutSeconds: SCAN_SECONDS_MAX };
  for (let turn = 0; ; turn += 1) {
    try {
      const answer = await callOrThrow(runMcpSweepScan, input, target);
      return z.object({ scan: ScanOutput }).parse(answer).scan.id;
    } catch (error) {
      const isBusy = error instanceof AppError && error.code === "conflict";
      if (!isBusy || turn * BUSY_PAUSE_MS > SCAN_SECONDS_MAX * 1000) throw error;
    }
    await sleep(BUSY_PAUSE_MS);
    signal?.throwIfAborted();
  }
}

const Results = z.object({
  scan: ScanOutput,
  summary: ScanSummaryOutput.optional(),
  coverage: z.array(CoverageOutput),
  items: z.array(FindingOutput),
  nextCursor: z.string().optional(),
});

interface ServerResults {
  readonly scan: z.output<typeof ScanOutput>;
  readonly summary: z.output<typeof ScanSummaryOutput>;
  readonly coverage: readonly z.output<typeof CoverageOutput>[];
  readonly findings: readonly z.output<typeof FindingOutput>[];
}

async function readResults(scanId: string, target: ApiTarget, signal?: AbortSignal): Promise<ServerResults> {
  const findings: z.output<typeof FindingOutput>[] = [];
  const first = await finishedScan(scanId, target, signal);
  const read = async (cursor: string | undefined) =>
    cursor === undefined ? first : readPage({ scan: scanId, cursor }, target);
  for await (const page of allPages(read)) findings.push(...page.items);
  const { scan, summary, coverage } = first;
  if (summary === undefined) throw new AppError("unavailable", scan.error ?? "the scan ended without a result");
  return { scan, summary, coverage, findings };
}

async function finishedScan(
  scanId: string,
  target: ApiTarget,
  signal?: AbortSignal,
): Promise<z.output<typeof Results>> {
  const deadline = performance.now() + SCAN_SECONDS_MAX * 1000;
  for (;;) {
    const page = await readPage({ scan: scanId }, target);
    if (page.scan.status !== "running") return page;
    if (performance.now() > deadline) {
      throw new AppError("timeout", `scan \`${scanId}\` still runs; get_scan_results shows it when it is done`);
    }
    await sleep(POLL_MS);
    signal?.throwIfAborted();
  }
}

async function readPage(
  input: { readonly scan: string; readonly cursor?: string },
  target: ApiTarget,
): Promise<z.output<typeof Results>> {
  return Results.parse(await callOrThrow(getScanResults, { ...input, limit: PAGE_ROWS }, target));
}

function render(results: ServerResults, device: string, form: ScanCommandOptions["form"]): string {
  // Also JSON goes to terminals: what is invisible is escaped.
  if (form === "json") return `${JSON.stringify(escapeHidden(results), null, 2)}\n`;
  const findings = results.findings.map((finding) => ({
    ...finding,
    key: findingKey(finding.code, finding.identity),
    instances: finding.instances.filter((instance) => instance.device === device),
  }));
  return form === "sarif" ? `${JSON.stringify(toSarif(findings), null, 2)}\n` : toTable({ ...results, findings });
}
