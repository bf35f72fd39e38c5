import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeReport } from "../../src/app/device/make-report.ts";
import { reportForever, reportOnce } from "../../src/app/device/reporter.ts";
import { writeState } from "../../src/app/device/device-state.ts";
import { newId } from "../../src/lib/ids.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

const SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

let app: TestApp;
let folder: string;

beforeEach(async () => {
  app = await startTestApp();
  folder = mkdtempSync(join(tmpdir(), "runlayer-devices-"));
});

afterEach(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

interface TestDevice {
  readonly name: string;
  readonly key: string;
  readonly home: string;
  readonly folder: string;
}

async function enroll(name: string, servers: object): Promise<TestDevice> {
  const { body } = await app.rest("POST /devices", { name });
  const device = { name, key: textAt(body, "key"), home: join(folder, name), folder: join(folder, `${name}-state`) };
  mkdirSync(join(device.home, ".cursor"), { recursive: true });
  writeFileSync(join(device.home, ".cursor/mcp.json"), JSON.stringify({ mcpServers: servers }, null, 2));
  await writeState(device.folder, { url: app.url, key: device.key });
  return device;
}

const ignore = (): void => undefined;

function report({ home, folder }: TestDevice): Promise<void> {
  return reportOnce({ folder, scope: { homes: [home], isForAllUsers: false }, log: ignore, onSent: ignore });
}

const UPDATE = { hub: { command: "npx", args: ["-y", "@acme/hub@1.0.0"], env: { GITHUB_TOKEN: SECRET } } };

async function findings(filter: object = {}) {
  const { body } = await app.rest("GET /scan-results", filter);
  const items = at(body, "items");
  if (!Array.isArray(items)) throw new Error(JSON.stringify(body));
  return { body, items: items.map((item) => ({ code: textAt(item, "code"), item: at(item) })) };
}

describe("device reporters", () => {
  test("three report, one is stopped: the scan ends in time and names it", { timeout: 40_000 }, async () => {
    const devices = [
      await enroll("laptop-one", { files: { command: "npx", args: ["-y", "@acme/files@1.2.3"] } }),
      await enroll("laptop-two", { files: { command: "npx", args: ["-y", "@acme/files@1.2.3"] } }),
      await enroll("laptop-three", { files: { command: "npx", args: ["-y", "@acme/files@1.2.3"] } }),
    ];
    const stops = devices.map(() => new AbortController());
    const running = devices.map(({ home, folder }, index) =>
      reportForever({
        folder,
        scope: { homes: [home], isForAllUsers: false },
        log: ignore,
        onSent: ignore,
        everyMs: 3_600_000,
        signal: stops[index]?.signal ?? AbortSignal.abort(),
      }),
    );
    try {
      const reported = async () => {
        const { body } = await app.rest("GET /devices");
        return [0, 1, 2].filter((index) => typeof at(body, "items", index, "reportedAt") === "string").length;
      };
      await expect.poll(reported, { timeout: 10_000 }).toBe(3);
      stops[2]?.abort();
      await running[2];
      const startedAt = Date.now();
      const { body } = await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 7 });
      expect(Date.now() - startedAt).toBeLessThan(14_000);
      expect(body).toMatchObject({ scan: { status: "partial" }, summary: { devices: 3 } });
      const shown = await findings();
      const coverage = at(shown.body, "coverage");
      expect(coverage).toContainEqual(expect.objectContaining({ place: "laptop-one", status: "read" }));
      expect(coverage).toContainEqual(expect.objectContaining({ place: "laptop-two", status: "read" }));
      expect(coverage).toContainEqual(expect.objectContaining({ place: "laptop-three", status: "partial" }));
      const shadow = shown.items.find(({ code }) => code === "SHADOW-SERVER");
      expect(shadow?.item).toMatchObject({ devices: 3, operation: { tool: "update_finding" } });
    } finally {
      for (const stop of stops) stop.abort();
      await Promise.all(running);
    }
  });

  test("a finding of a device ends with a fresh report, and a silent device ends none", async () => {
    const device = await enroll("laptop", { files: { command: "npx", args: ["-y", "@acme/files@1.2.3"] } });
    await report(device);
    const first = await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 1 });
    expect(at(first.body, "summary", "new")).toBeGreaterThan(0);
    const silent = await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 1 });
    expect(at(silent.body, "summary")).toMatchObject({ new: 0, resolved: 0 });
    writeFileSync(join(device.home, ".cursor/mcp.json"), "{}");
    const started = await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 20, wait: false });
    await report(device);
    const scan = textAt(started.body, "scan", "id");
    const status = async () => at((await findings({ scan })).body, "scan", "status");
    await expect.poll(status, { timeout: 10_000 }).toBe("complete");
    expect((await findings({ status: "resolved" })).items.map(({ code }) => code)).toContain("SHADOW-SERVER");
  });

  test("a registered agent accounts for its own install, and for none on another machine", async () => {
    const created = await app.rest("POST /agents", { name: "claw", type: "openclaw" });
    const key = textAt(created.body, "key");
    const gateway = { url: textAt(created.body, "connection", "url"), headers: { Authorization: `Bearer ${key}` } };
    for (const [name, servers] of Object.entries({ "laptop-one": { gateway }, "laptop-two": {} })) {
      const device = await enroll(name, {});
      mkdirSync(join(device.home, ".openclaw"));
      writeFileSync(join(device.home, ".openclaw/openclaw.json"), JSON.stringify({ mcp: { servers } }));
      await report(device);
    }
    await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 1 });
    const shadow = (await findings({ kind: "shadow_agent" })).items.map(({ item }) => item);
    expect(shadow).toMatchObject([{ code: "SHADOW-AGENT", instances: [{ device: "laptop-two" }] }]);
  });

  test("no secret leaves the device, and the key is kept where only its owner reads", async () => {
    const device = await enroll("laptop", UPDATE);
    const compressed = await makeReport({ homes: [device.home], isForAllUsers: false }, "k".repeat(64));
    const sent = gunzipSync(Buffer.from(compressed, "base64")).toString("utf8");
    expect(sent).toContain("SECRET-INLINE");
    expect(sent).not.toContain(SECRET);
    expect(statSync(join(device.folder, "device.json")).mode & 0o077).toBe(0);
    await report(device);
    await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 1 });
    const { body, items } = await findings();
    expect(items.map(({ code }) => code)).toContain("SECRET-INLINE");
    expect(JSON.stringify(body)).not.toContain(SECRET);
  });

  test("keeps the report while the control plane is away, and catches up", async () => {
    const device = await enroll("laptop", UPDATE);
    await report(device);
    await writeState(device.folder, { url: "http://127.0.0.1:9", key: device.key, hashKey: "k".repeat(64) });
    await expect(report(device)).rejects.toMatchObject({ code: "unavailable" });
    const kept = readFileSync(join(device.folder, "pending-report"), "utf8");
    const { body } = await app.rest("POST /device-reports", { compressed: kept }, device.key);
    expect(body).toMatchObject({ accepted: true });
  });
});

describe("submit_device_report", () => {
  const valid = (given: object = {}) => ({
    version: 1,
    id: crypto.randomUUID(),
    takenAt: new Date().toISOString(),
    hostname: "h",
    platform: "linux",
    sections: [],
    ...given,
  });
  const pack = (value: unknown) => gzipSync(JSON.stringify(value)).toString("base64");

  test("takes a report once, and keeps the newest", async () => {
    const { key } = await enroll("laptop", {});
    const first = pack(valid());
    const send = (compressed: string) => app.rest("POST /device-reports", { compressed }, key);
    expect((await send(first)).body).toMatchObject({ accepted: true, device: { name: "laptop" } });
    expect((await send(first)).body).toMatchObject({ accepted: false, reason: "duplicate" });
    const older = pack(valid({ takenAt: "2020-01-01T00:00:00.000Z" }));
    expect((await send(older)).body).toMatchObject({ accepted: false, reason: "older" });
    const events = await app.rest("GET /audit-events", { action: "device." });
    expect(at(events.body, "items")).toMatchObject([
      { action: "device.enroll", resource: { name: "laptop" } },
      { action: "device.report", actor: { type: "device", name: "laptop" } },
    ]);
  });

  test.each([
    ["no gzip", "aGVsbG8="],
    ["no JSON", gzipSync("hello").toString("base64")],
    ["another form", pack({ version: 2 })],
    ["a bomb", gzipSync(Buffer.alloc(64 * 1_048_576)).toString("base64")],
  ])("refuses %s", async (_what, compressed) => {
    const { key } = await enroll("laptop", {});
    expect((await app.rest("POST /device-reports", { compressed }, key)).body["code"]).toBe("invalid_input");
  });

  test("a device key reports for its own device and may do nothing else", async () => {
    const { key } = await enroll("laptop", {});
    await enroll("other", {});
    const other = await app.rest("POST /device-reports", { device: "other" }, key);
    expect(other.body["code"]).toBe("not_found");
    for (const route of ["GET /organization", "GET /devices", "GET /scan-results", "POST /scans", "POST /devices"]) {
      expect((await app.rest(route, route.startsWith("GET") ? undefined : {}, key)).body["code"]).toBe("forbidden");
    }
    const { body } = await app.rest("GET /devices");
    const keyId = textAt(body, "items", 0, "key", "id");
    await app.rest(`POST /api-keys/${keyId}/revoke`, { confirm: true });
    expect((await app.rest("POST /device-reports", {}, key)).status).toBe(401);
    expect(at((await app.rest("GET /devices")).body, "items", 0, "status")).toBe("revoked");
  });

  test("a scanner reports for a device that it names, and an address a device saw is never a private exception", async () => {
    await enroll("laptop", {});
    const made = await app.rest("POST /api-keys", { name: "collector", role: "scanner" });
    const server = {
      name: "inner",
      source: "network",
      transport: "http",
      isEnabled: true,
      identity: {
        kind: "url",
        family: "url:10.0.0.7",
        exact: "url:http://10.0.0.7/mcp",
        label: "http://10.0.0.7/mcp",
        url: "http://10.0.0.7/mcp",
        isBridged: false,
      },
    };
    const section = {
      place: "home",
      path: "/home/ada",
      user: "ada",
      isComplete: true,
      unread: [],
      configsRead: 1,
      servers: [server],
      skills: [],
      installs: [],
      observations: [],
    };
    const input = { device: "laptop", compressed: pack(valid({ id: newId(), sections: [section] })) };
    const sent = await app.rest("POST /device-reports", input, textAt(made.body, "secret"));
    expect(sent.body).toMatchObject({ accepted: true });
    await app.rest("POST /scans", { targets: ["devices"], timeoutSeconds: 1 });
    expect((await findings()).items.map(({ item }) => at(item, "operation", "tool"))).toEqual(["update_finding"]);
  });
});
