import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { newId } from "../../src/lib/ids.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;

beforeEach(async () => {
  app = await startTestApp();
});

afterEach(async () => {
  await app.close();
});

interface TestDevice {
  readonly name: string;
  readonly key: string;
  readonly keyId: string;
}

async function enroll(name: string): Promise<TestDevice> {
  const { body } = await app.rest("POST /devices", { name });
  return { name, key: textAt(body, "key"), keyId: textAt(body, "device", "key", "id") };
}

/** A report of npm servers that nobody registered. */
function reportOf(packages: readonly string[]): string {
  const servers = packages.map((name) => ({
    name,
    source: "config",
    transport: "stdio",
    isEnabled: true,
    identity: { kind: "pkg", family: `pkg:npm/${name}`, exact: `pkg:npm/${name}@1.0.0`, label: name, isBridged: false },
  }));
  const found = { servers, skills: [], installs: [], observations: [] };
  const section = { place: "home", path: "/home/ada", user: "ada", isComplete: true, unread: [], configsRead: 1 };
  const takenAt = new Date().toISOString();
  const head = { version: 1, id: newId(), takenAt, hostname: "h", platform: "linux" };
  return gzipSync(JSON.stringify({ ...head, sections: [{ ...section, ...found }] })).toString("base64");
}

async function report({ key }: TestDevice, packages: readonly string[]): Promise<void> {
  const { body } = await app.rest("POST /device-reports", { compressed: reportOf(packages) }, key);
  expect(body).toMatchObject({ accepted: true });
}

const scan = async (input: object = { targets: ["devices"] }) =>
  (await app.rest("POST /scans", { timeoutSeconds: 1, ...input })).body;

async function shadows(filter: object = {}) {
  const { items } = Object((await app.rest("GET /scan-results", { kind: "shadow_server", ...filter })).body);
  const found: readonly { identity: string; devices: number; instances: { device: string }[] }[] = items;
  const shown = found.map(({ identity, devices, instances }) => [
    identity,
    devices,
    instances.map((one) => one.device),
  ]);
  return shown.toSorted(([left], [right]) => String(left).localeCompare(String(right)));
}

async function coverageOf(name: string) {
  const lines = at((await app.rest("GET /scan-results")).body, "coverage");
  return Array.isArray(lines) ? lines.filter((line) => at(line, "place") === name) : [];
}

const revoke = (keyId: string, input: object = { confirm: true }) => app.rest(`POST /api-keys/${keyId}/revoke`, input);
const openFindings = async () => at((await app.rest("GET /organization")).body, "inventory", "openFindings", "medium");

test("what only a revoked device showed ends with the next scan, and its last report counts no more", async () => {
  const [kept, lost] = [await enroll("kept"), await enroll("lost")];
  await report(kept, ["shared"]);
  await report(lost, ["shared", "own"]);
  await scan();
  expect(await shadows()).toEqual([
    ["pkg:npm/own", 1, ["lost"]],
    ["pkg:npm/shared", 2, ["kept", "lost"]],
  ]);
  const asked = await revoke(lost.keyId, {});
  expect([asked.body["code"], at(asked.body, "details", "impact", "device")]).toEqual([
    "confirmation_required",
    "lost",
  ]);
  expect(at((await revoke(lost.keyId)).body, "impact", "device")).toBe("lost");

  expect(await scan({ targets: ["registry"] })).toMatchObject({ summary: { resolved: 1 } });
  expect(await shadows({ status: "resolved" })).toEqual([["pkg:npm/own", 1, ["lost"]]]);
  expect(await coverageOf("lost")).toEqual([
    { target: "devices", place: "lost", status: "read", reason: expect.stringContaining("revoked") },
  ]);
  expect(await openFindings()).toBe(1);

  expect(await scan()).toMatchObject({ summary: { resolved: 0, new: 0, devices: 1 } });
  expect(await shadows()).toEqual([["pkg:npm/shared", 1, ["kept"]]]);
  expect(await coverageOf("lost")).toEqual([]);
});

test("nobody reports for a revoked device, and no scan asks it", async () => {
  const device = await enroll("laptop");
  await report(device, ["own"]);
  await revoke(device.keyId);
  const compressed = reportOf(["other"]);
  expect((await app.rest("POST /device-reports", { compressed }, device.key)).status).toBe(401);
  for (const input of [{ device: "laptop", compressed }, { device: "laptop" }])
    expect((await app.rest("POST /device-reports", input)).body["code"]).toBe("conflict");
  expect((await scan({ targets: ["devices"], devices: ["laptop"] }))["code"]).toBe("conflict");
  const { body } = await app.rest("POST /scans", { timeoutSeconds: 20 });
  expect(at(body, "scan", "targets")).toEqual(["host", "registry"]);
  expect(await shadows()).toEqual([]);
});

test("a device that is not revoked keeps its findings while it is silent", async () => {
  const [silent, other] = [await enroll("silent"), await enroll("other")];
  await report(silent, ["own"]);
  await scan();
  await revoke(other.keyId);
  expect(await scan()).toMatchObject({ summary: { resolved: 0 } });
  expect(await shadows()).toEqual([["pkg:npm/own", 1, ["silent"]]]);
});
