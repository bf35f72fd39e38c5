import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runScan } from "../../src/sweep/run-scan.ts";
import { check, runAlone } from "./report.ts";

/* A home of 200 000 files, 1 000 of its folders projects with a configuration and rules. */

const FILES = 200_000;
const FOLDERS = 8_000;
const FOLDERS_PER_PROJECT = 8;
const [folder] = process.argv.slice(2);

if (folder === undefined) run();
else await scanOnce(folder);

function run(): void {
  const home = mkdtempSync(join(tmpdir(), "sweep-bench-"));
  try {
    makeHome(home);
    // A process of its own, so that making the files does not count as memory of the scan.
    runAlone(import.meta.filename, [home]);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function makeHome(home: string): void {
  for (let index = 0; index < FOLDERS; index += 1) {
    const place = join(home, `area-${String(index % 20)}`, `group-${String(index % 400)}`, `folder-${String(index)}`);
    mkdirSync(place, { recursive: true });
    for (let file = 0; file < FILES / FOLDERS; file += 1) writeFileSync(join(place, `file-${String(file)}.txt`), "x");
    if (index % FOLDERS_PER_PROJECT !== 0) continue;
    const server = { command: "npx", args: ["-y", `@acme/s${String(index % 50)}@1.0.0`] };
    writeFileSync(join(place, ".mcp.json"), JSON.stringify({ mcpServers: { [`s${String(index)}`]: server } }));
    writeFileSync(join(place, "AGENTS.md"), "# Rules\n\nRun the tests before each commit.\n".repeat(20));
  }
}

async function scanOnce(home: string): Promise<void> {
  const startedAt = performance.now();
  const { summary } = await runScan({ paths: [home], includeProcesses: false, hashKey: "bench" });
  const seconds = (performance.now() - startedAt) / 1000;
  check("home of 200 000 files, s", seconds, { atMost: 5 });
  check("home of 200 000 files, MB", process.resourceUsage().maxRSS / 1024, { atMost: 200 });
  check("servers found there", summary.servers, { atLeast: FOLDERS / FOLDERS_PER_PROJECT });
}
