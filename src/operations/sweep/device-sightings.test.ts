import { expect, test } from "vitest";
import { aDevice } from "../../../test/harness/entities-sweep.ts";
import { DeviceReportForm } from "../../sweep/device-report-form.ts";
import { toReportSection } from "../../sweep/device-report.ts";
import { createMatcher, EMPTY_REGISTRY } from "../../sweep/match.ts";
import { judgeReport } from "./device-sightings.ts";

/* Two servers run on a device, one listens; which of them is registered depends on whose addresses these are. */

const KEY = "k";
const HERE = { id: "here", hosts: ["control", "172.17.0.1"] };

function judge({ networkId, url }: { readonly networkId?: string; readonly url: string }): readonly string[] {
  const base = {
    source: "process",
    transport: "stdio",
    env: {},
    headers: {},
    isEnabled: true,
    autoApproved: [],
  } as const;
  const listensAt = ["localhost:3001", "127.0.0.1:3001", "172.17.0.1:3001", "10.0.0.7:3001", "build-box:3001"];
  const servers = [
    { ...base, name: "listens", command: "npx", args: ["@acme/listens@1.0.0"], pid: 7, port: 3001, listensAt },
    { ...base, name: "mentions", command: "npx", args: ["@acme/mentions@1.0.0", "--port", "3001", url], pid: 8 },
  ];
  const facts = { servers, skills: [], installs: [], problems: [], coverage: [], configsRead: 0 };
  const report = DeviceReportForm.parse({
    version: 1,
    id: crypto.randomUUID(),
    takenAt: new Date(0).toISOString(),
    hostname: "build-box",
    platform: "linux",
    networkId,
    sections: [toReportSection(facts, { place: "processes" }, KEY)],
  });
  const registered = { id: "1", name: "registered", transport: "streamable-http", url };
  const matcher = createMatcher({ ...EMPTY_REGISTRY, servers: [registered] }, KEY);
  const { observations } = judgeReport(report, { device: aDevice(), matcher, network: HERE });
  return observations.filter(({ code }) => code === "SHADOW-SERVER").map(({ identity }) => identity);
}

const MENTIONS = "pkg:npm/@acme/mentions";
const BOTH = ["pkg:npm/@acme/listens", MENTIONS];

test.each([
  ["the same machine, by loopback", { networkId: "here", url: "http://localhost:3001/mcp" }, [MENTIONS]],
  ["the same machine, by its address", { networkId: "here", url: "http://172.17.0.1:3001/mcp" }, [MENTIONS]],
  ["another machine, by its address", { networkId: "there", url: "http://10.0.0.7:3001/mcp" }, [MENTIONS]],
  ["another machine, by its name", { networkId: "there", url: "http://build-box:3001/mcp" }, [MENTIONS]],
  ["another machine's own loopback", { networkId: "there", url: "http://localhost:3001/mcp" }, BOTH],
  ["another machine's own 127.0.0.1", { networkId: "there", url: "http://127.0.0.1:3001/mcp" }, BOTH],
  ["an address that this machine has too", { networkId: "there", url: "http://172.17.0.1:3001/mcp" }, BOTH],
  ["a device that does not tell its network", { url: "http://localhost:3001/mcp" }, BOTH],
])("%s", (_what, given, shadows) => {
  expect(judge(given)).toEqual(shadows);
});
