import { z } from "zod";
import { SCAN_TARGETS, type Scan } from "../../domain/scan.ts";
import type { HandleContext, PrepareContext } from "../context.ts";
import { createdBy } from "../created-by.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField, text } from "../fields.ts";
import { runInBackground } from "./background-scan.ts";
import { runPlan } from "./run-plan.ts";
import { planScan, type ScanPlan } from "./scan-plan.ts";
import { storeScanFindings } from "./store-scan.ts";
import { ScanOutput, ScanSummaryOutput, showScan } from "./sweep-output.ts";

const Input = z.object({
  targets: z
    .array(z.enum(SCAN_TARGETS))
    .min(1)
    .max(SCAN_TARGETS.length)
    .optional()
    .describe(
      "What to look at: `host` (the machine that serves), `devices` (enrolled ones), `network` (declared ranges), `registry` (drift and neglect of what is registered); all that are configured unless told",
    ),
  networks: z
    .array(text(253).min(1))
    .min(1)
    .max(64)
    .optional()
    .describe("Private ranges such as `10.0.0.0/24`, or hosts; nothing else is contacted"),
  ports: z.array(z.int().min(1).max(65_535)).min(1).max(100).optional().describe("Ports to probe there"),
  paths: z.array(text(4096).min(1)).max(50).optional().describe("More home directories or project folders to read"),
  devices: z.array(RefField).min(1).max(1000).optional().describe("Only these enrolled devices, by id or name"),
  wait: z.boolean().optional().describe("Set false to have the answer at once and read get_scan_results later"),
  timeoutSeconds: z.int().min(1).max(900).optional().describe("How long it may take, 50 unless told"),
});

type Input = z.output<typeof Input>;

/** Looks for servers, agents and skills that nobody registered. */
export const runMcpSweepScan = defineOperation({
  name: "run_mcp_sweep_scan",
  title: "Run MCP sweep scan",
  description:
    "Looks for MCP servers, agents and skills that nobody registered, for clients that go around the gateway, and for what drifted. Passive: starts no server it finds, contacts declared networks only. Returns the scan and its counts; get_scan_results has the findings and what could not be read.",
  route: "POST /scans",
  command: "scans run",
  roles: ["owner", "admin", "security", "scanner"],
  effect: "write",
  action: "scan.run",
  input: Input,
  output: z.object({ scan: ScanOutput, summary: ScanSummaryOutput.optional() }),
  async prepare(input, context) {
    const plan = await planScan(input, context);
    const scan = newScan(plan, context);
    if (context.isDryRun) return async () => show(scan, context.now);
    if (input.wait === false) return async (handling) => show(await startLater(scan, plan, handling), context.now);
    const release = context.services.scanSlot.acquire();
    try {
      const found = await runPlan(plan, context);
      return async (handling) => {
        await handling.repositories.scans.insert(scan);
        const finishedAt = handling.services.clock.now();
        return show(await storeScanFindings(scan, found, { ...handling, finishedAt }), finishedAt);
      };
    } finally {
      release();
    }
  },
  event: ({ scan, summary }) => ({
    resource: { type: "scan", id: scan.id, name: scan.id },
    details: {
      targets: scan.targets,
      status: scan.status,
      ...(summary === undefined ? {} : { new: summary.new, resolved: summary.resolved, findings: summary.findings }),
    },
  }),
  summarize: ({ scan, summary }) =>
    summary === undefined
      ? `Scan ${scan.id} is ${scan.status}; get_scan_results shows it when it is done.`
      : `Scan ${scan.id} is ${scan.status}: ${summary.findings.critical} critical, ${summary.findings.high} high, ${summary.findings.medium} medium open findings; ${summary.new} new, ${summary.resolved} resolved. get_scan_results lists them.`,
});

function newScan(plan: ScanPlan, { services, caller, now }: PrepareContext): Scan {
  return {
    id: services.newId(),
    status: "running",
    targets: plan.targets,
    startedAt: now,
    finishedAt: null,
    timeoutMs: plan.timeoutMs,
    startedBy: createdBy(caller),
    summary: null,
    coverage: [],
    error: null,
  };
}

async function startLater(
  scan: Scan,
  plan: ScanPlan,
  { services, repositories, caller }: HandleContext,
): Promise<Scan> {
  await repositories.scans.insert(scan);
  services.scanSlot.startInBackground((signal, store) =>
    runInBackground(scan, plan, { services, store, signal, caller }),
  );
  return scan;
}

function show(scan: Scan, now: number) {
  return { scan: showScan(scan, now), ...(scan.summary === null ? {} : { summary: scan.summary }) };
}
