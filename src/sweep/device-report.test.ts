import { expect, test } from "vitest";
import { DeviceReportForm } from "./device-report-form.ts";
import { toReportSection } from "./device-report.ts";
import type { DiscoveredServer, Facts } from "./facts.ts";

/* What a planted file can say must not keep a whole device from reporting. */

const LONG = "a/b-".repeat(2000);

function facts(servers: readonly Partial<DiscoveredServer>[]): Facts {
  const base = {
    name: "s",
    source: "config",
    client: "cursor",
    transport: "stdio",
    args: [],
    env: {},
    headers: {},
  } as const;
  const full = servers.map((server) => ({ ...base, isEnabled: true, autoApproved: [], ...server }));
  return { servers: full, skills: [], installs: [], problems: [], coverage: [], configsRead: 1 };
}

function report(found: Facts) {
  const section = toReportSection(found, { place: "home", path: "/home/ada", user: "ada" }, "k");
  const head = {
    version: 1,
    id: crypto.randomUUID(),
    takenAt: new Date().toISOString(),
    hostname: "h",
    platform: "linux",
  };
  return { section, parsed: DeviceReportForm.safeParse(JSON.parse(JSON.stringify({ ...head, sections: [section] }))) };
}

test.each([
  ["an address", { url: `https://x.example/${LONG}`, transport: "http" }],
  ["a host", { url: `https://${"a.".repeat(3000)}example/mcp`, transport: "http" }],
  ["an address behind a bridge", { command: "npx", args: ["mcp-remote", `https://x.example/${LONG}`] }],
  ["a script", { command: "python3", args: [`/${LONG}.py`] }],
  ["a program", { command: `/${"p".repeat(5000)}` }],
  ["a package", { command: "npx", args: [`@acme/${"p".repeat(5000)}@1.0.0`] }],
  ["an image", { command: "docker", args: ["run", `acme/${"p".repeat(5000)}:1`] }],
  ["a name", { name: "n".repeat(5000), command: "x" }],
] as const)("reports %s that is longer than any", (_what, server) => {
  const { section, parsed } = report(facts([server, { ...server, name: "s" }, { name: "s", command: "y" }]));
  expect(parsed.error?.issues).toBeUndefined();
  expect(section.servers).toHaveLength(3);
  expect(section.isComplete).toBe(true);
});

test("a longer address or script is another server, not the same one cut", () => {
  const [left, right] = ["x", "y"].map((end) => report(facts([{ url: `https://x.example/${LONG}${end}` }])).section);
  expect(left?.servers[0]?.identity.family).not.toBe(right?.servers[0]?.identity.family);
});

test("more servers than a report holds are cut, and the home is said to be read in part", () => {
  const many = Array.from({ length: 11_000 }, (_item, index) => ({ command: `tool-${String(index)}` }));
  const { section, parsed } = report(facts(many));
  expect(parsed.success).toBe(true);
  expect(section.servers.length).toBe(10_000);
  expect(section.isComplete).toBe(false);
});
