import { randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { DiscoveredServer, Facts } from "../../src/sweep/facts.ts";
import { toReportSection } from "../../src/sweep/device-report.ts";

/* What ten thousand devices report: 20 servers each, of 6 000 that go round; one of them keeps a secret in its configuration. */

const SERVERS_PER_DEVICE = 20;
const SERVERS_GOING_ROUND = 6_000;

/** As `runlayer device report` sends it: redacted, gzip, base64. */
export function reportOf(device: number, { hashKey, takenAt }: { hashKey: string; takenAt: number }): string {
  const user = `user-${String(device)}`;
  const home = `/home/${user}`;
  const report = {
    version: 1,
    id: randomUUID(),
    takenAt: new Date(takenAt).toISOString(),
    hostname: `laptop-${String(device)}`,
    platform: "linux",
    sections: [
      toReportSection(factsOf(device, home), { place: "home", path: home, user }, hashKey),
      toReportSection(NOTHING, { place: "processes" }, hashKey),
    ],
  };
  return gzipSync(JSON.stringify(report)).toString("base64");
}

const NOTHING: Facts = { servers: [], skills: [], installs: [], problems: [], coverage: [], configsRead: 0 };

function factsOf(device: number, home: string): Facts {
  const servers = Array.from({ length: SERVERS_PER_DEVICE }, (_item, index): DiscoveredServer => ({
    name: `s${String(index)}`,
    source: "config",
    client: "cursor",
    path: `${home}/.cursor/mcp.json`,
    line: 3 + 4 * index,
    transport: "stdio",
    command: "npx",
    args: ["-y", `@acme/s${String((device * 7 + index) % SERVERS_GOING_ROUND)}@1.0.0`],
    env: index === 0 ? { GITHUB_TOKEN: `ghp_${String(device).padStart(6, "0")}C7e42F292c6912E7710c838347Ae17` } : {},
    headers: {},
    isEnabled: true,
    autoApproved: [],
  }));
  const coverage = [{ target: "host", place: home, status: "read" } as const];
  return { ...NOTHING, servers, coverage, configsRead: 1 };
}
