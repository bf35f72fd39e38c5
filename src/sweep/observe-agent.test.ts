import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { aDevice } from "../../test/harness/entities-sweep.ts";
import { generateApiKey } from "../auth/api-key-format.ts";
import { toKeyHint } from "../domain/api-key.ts";
import { judgeReport } from "../operations/sweep/device-sightings.ts";
import { DeviceReportForm } from "./device-report-form.ts";
import { toReportSection } from "./device-report.ts";
import type { Facts } from "./facts.ts";
import type { Observation } from "./finding.ts";
import { homeContext } from "./homes.ts";
import { createMatcher, EMPTY_REGISTRY, type Registry } from "./match.ts";
import { createMachineAgents } from "./observe-agent.ts";
import { createObserver } from "./observe.ts";
import { scanHome } from "./scan-home.ts";

/* One agent is registered and active; whether an agent that is installed is that one, its own configuration tells. */

const KEY = generateApiKey("agent");
const OTHER_KEY = generateApiKey("agent");
const HASH_KEY = "k";
const REGISTRY: Registry = {
  ...EMPTY_REGISTRY,
  gatewayUrls: ["https://gw.example"],
  agents: [{ id: "1", name: "claw", type: "openclaw", keyHints: [toKeyHint(KEY, "agent")] }],
};
const RUNNING: Facts = {
  servers: [],
  skills: [],
  installs: [{ client: "openclaw", title: "OpenClaw", kind: "agent", isRunning: true, pid: 7 }],
  problems: [],
  coverage: [],
  configsRead: 0,
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sweep-agent-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const byKey = (key: string) => ({
  url: "https://gw.example/gateway/mcp",
  headers: { Authorization: `Bearer ${key}` },
});

/** A home with OpenClaw in it, as a scan reads it. */
async function readHome(name: string, servers: object): Promise<Facts> {
  const home = join(folder, name);
  await mkdir(join(home, ".openclaw"), { recursive: true });
  await writeFile(join(home, ".openclaw/openclaw.json"), JSON.stringify({ mcp: { servers } }));
  return scanHome(homeContext(home, join(folder, "none")));
}

const shadows = (observations: readonly Pick<Observation, "code" | "instance">[]) =>
  observations.flatMap(({ code, instance }) => (code === "SHADOW-AGENT" ? [instance.user ?? "process"] : []));

test.each<[string, object, readonly string[]]>([
  ["through the gateway, with the key of the agent", { gw: byKey(KEY) }, []],
  ["through the gateway, with a key that is elsewhere", { gw: byKey("${CLAW_KEY}") }, []],
  ["through the gateway, with the key of no active agent of the kind", { gw: byKey(OTHER_KEY) }, ["ann"]],
  [
    "through the bridge, with the key in a variable",
    {
      gw: {
        command: "npx",
        args: ["-y", "runlayer", "stdio", "--url", "https://gw.example/gateway/mcp"],
        env: { RUNLAYER_AGENT_KEY: OTHER_KEY },
      },
    },
    ["ann"],
  ],
  ["an entry that is switched off", { gw: { ...byKey(KEY), disabled: true } }, ["ann"]],
  ["around the gateway", { x: { url: "https://x.example/mcp" } }, ["ann"]],
  ["no server at all", {}, ["ann"]],
])("judges an install by its own configuration: %s", async (_what, servers, users) => {
  const observations = createObserver(REGISTRY, HASH_KEY)(await readHome("ann", servers), { user: "ann" });
  expect(shadows(observations)).toEqual(users);
});

test("a key that nobody issued registers no agent", async () => {
  const observe = createObserver({ ...REGISTRY, agents: [] }, HASH_KEY);
  expect(shadows(observe(await readHome("ann", { gw: byKey(KEY) }), { user: "ann" }))).toEqual(["ann"]);
});

test("a configuration that cannot be read may be that of the registered agent", async () => {
  const facts = await readHome("ann", {});
  const path = join(folder, "ann/.openclaw/openclaw.json");
  const unread: Facts = { ...facts, coverage: [{ target: "host", place: path, status: "skipped" }] };
  expect(shadows(createObserver(REGISTRY, HASH_KEY)(unread, { user: "ann" }))).toEqual([]);
  expect(shadows(createObserver(EMPTY_REGISTRY, HASH_KEY)(unread, { user: "ann" }))).toEqual(["ann"]);
});

test("a registered agent accounts for its own home and process, and for none on other machines", async () => {
  const observe = createObserver(REGISTRY, HASH_KEY);
  const [own, other] = [createMachineAgents(), createMachineAgents()];
  const found = [
    ...observe(await readHome("ann", { gw: byKey(KEY) }), { user: "ann" }, own),
    ...observe(await readHome("bob", {}), { user: "bob" }, own),
    ...observe(RUNNING, {}, own),
  ];
  expect(shadows(found)).toEqual(["bob"]);
  expect(shadows(observe(RUNNING, {}, other))).toEqual(["process"]);
  // In a network nothing tells which machine it is.
  expect(shadows(observe(RUNNING, {}))).toEqual(["process"]);
  other.hasUnreadHome = true;
  expect(shadows(observe(RUNNING, {}, other))).toEqual([]);
});

test("judges the report of a device alike, whatever the order of its sections", async () => {
  const judge = async (servers: object) => {
    const home = toReportSection(
      await readHome("ann", servers),
      { place: "home", path: join(folder, "ann"), user: "ann" },
      HASH_KEY,
    );
    const report = DeviceReportForm.parse({
      version: 1,
      id: crypto.randomUUID(),
      takenAt: new Date(0).toISOString(),
      hostname: "h",
      platform: "linux",
      sections: [toReportSection(RUNNING, { place: "processes" }, HASH_KEY), home],
    });
    expect(JSON.stringify(report)).not.toContain(KEY);
    const matcher = createMatcher(REGISTRY, HASH_KEY);
    return shadows(
      judgeReport(report, { device: aDevice(), matcher, network: { id: "here", hosts: [] } }).observations,
    );
  };
  expect(await judge({ gw: byKey(KEY) })).toEqual([]);
  expect(await judge({ gw: byKey(OTHER_KEY) })).toEqual(["ann", "process"]);
  expect(await judge({})).toEqual(["ann", "process"]);
});
