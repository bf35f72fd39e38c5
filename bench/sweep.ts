import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { aggregate } from "../src/sweep/finding.ts";
import { createObserver } from "../src/sweep/observe.ts";
import { EMPTY_REGISTRY } from "../src/sweep/match.ts";
import type { DiscoveredServer, Facts } from "../src/sweep/facts.ts";
import { runScan } from "../src/sweep/run-scan.ts";

/**
 * `node bench/sweep.ts`: a scan of a home of 200 000 files (budget 5 s, 200 MB), and 10 000 devices of 20 servers each matched against 5 000
 * registered servers (budget 30 s). Exits 1 when a budget is missed.
 */
const FILES = 200_000;
const BUDGET = { seconds: 5, megabytes: 200, fleetSeconds: 30 };
const [mode, path = ""] = process.argv.slice(2);

if (mode === "--scan") await scanOnce(path);
else if (mode === "--fleet") matchFleet();
else run();

function run(): void {
  const home = mkdtempSync(join(tmpdir(), "sweep-bench-"));
  try {
    const projects = makeHome(home);
    console.log(`home of ${String(FILES)} files, ${String(projects)} projects`);
    // A process of its own, so that making the files does not count as memory of the scan.
    const scan = spawnSync(process.execPath, [import.meta.filename, "--scan", home], { stdio: "inherit" });
    const fleet = spawnSync(process.execPath, [import.meta.filename, "--fleet"], { stdio: "inherit" });
    process.exitCode = scan.status === 0 && fleet.status === 0 ? 0 : 1;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function makeHome(home: string): number {
  let projects = 0;
  for (let folder = 0; folder < 8000; folder += 1) {
    const place = join(
      home,
      `area-${String(folder % 20)}`,
      `group-${String(folder % 400)}`,
      `folder-${String(folder)}`,
    );
    mkdirSync(place, { recursive: true });
    for (let file = 0; file < FILES / 8000; file += 1) writeFileSync(join(place, `file-${String(file)}.txt`), "x");
    if (folder % 8 !== 0) continue;
    projects += 1;
    const config = {
      mcpServers: { [`s${String(folder)}`]: { command: "npx", args: ["-y", `@acme/s${String(folder % 50)}@1.0.0`] } },
    };
    writeFileSync(join(place, ".mcp.json"), JSON.stringify(config));
    writeFileSync(join(place, "AGENTS.md"), "# Rules\n\nRun the tests before each commit.\n".repeat(20));
  }
  return projects;
}

async function scanOnce(home: string): Promise<void> {
  const startedAt = performance.now();
  const { summary } = await runScan({ paths: [home], includeProcesses: false, hashKey: "bench" });
  const seconds = (performance.now() - startedAt) / 1000;
  const megabytes = process.resourceUsage().maxRSS / 1024;
  console.log(
    `scan: ${seconds.toFixed(2)} s (budget ${String(BUDGET.seconds)}), ${megabytes.toFixed(0)} MB (budget ${String(BUDGET.megabytes)}), ${String(summary.servers)} servers`,
  );
  process.exitCode = seconds <= BUDGET.seconds && megabytes <= BUDGET.megabytes ? 0 : 1;
}

function matchFleet(): void {
  const registered = Array.from({ length: 5000 }, (_item, index) => ({
    id: String(index),
    name: `server-${String(index)}`,
    transport: "stdio",
    command: "npx",
    args: ["-y", `@acme/s${String(index)}@1.0.0`],
  }));
  const registry = { ...EMPTY_REGISTRY, servers: registered, gatewayUrls: ["https://gw.example/gateway"] };
  const startedAt = performance.now();
  const observe = createObserver(registry, "bench");
  const observations = Array.from({ length: 10_000 }, (_item, device) =>
    observe(deviceFacts(device), { device: `d${String(device)}`, user: "u" }),
  ).flat();
  const findings = aggregate(observations);
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `fleet: ${seconds.toFixed(2)} s (budget ${String(BUDGET.fleetSeconds)}), ${String(findings.length)} findings of ${String(observations.length)} observations`,
  );
  process.exitCode = seconds <= BUDGET.fleetSeconds ? 0 : 1;
}

function deviceFacts(device: number): Facts {
  const servers = Array.from({ length: 20 }, (_item, index): DiscoveredServer => ({
    name: `s${String(index)}`,
    source: "config",
    client: "cursor",
    path: "/home/u/.cursor/mcp.json",
    line: index,
    transport: "stdio",
    command: "npx",
    args: ["-y", `@acme/s${String((device * 7 + index) % 6000)}@1.0.0`],
    env: { LOG: "1" },
    headers: {},
    isEnabled: true,
    autoApproved: [],
  }));
  return { servers, skills: [], installs: [], problems: [], coverage: [], configsRead: 1 };
}
