import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { unpackReport } from "../../operations/sweep/packed-report.ts";
import type { DeviceReportForm } from "../../sweep/device-report-form.ts";
import { makeReport } from "./make-report.ts";
import { packReport } from "./pack-report.ts";

/* What a planted file can say must not keep a whole device from reporting. */

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "pack-report-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), text);
}

/** As the control plane reads it. */
async function reported(): Promise<DeviceReportForm["sections"]> {
  const compressed = await makeReport({ homes: [home], isForAllUsers: false }, "k".repeat(32));
  expect(compressed.length).toBeLessThanOrEqual(900_000);
  return (await unpackReport(compressed)).sections;
}

const noise = (count: number, characters: number): object =>
  Object.fromEntries(
    Array.from({ length: count }, (_item, index) => [
      `s${String(index)}`,
      { command: `/${randomBytes(characters).toString("base64url").slice(0, characters)}`, args: ["-y"] },
    ]),
  );

test("a file with more than a report holds is cut, and hides no other", async () => {
  const HOSTILE = JSON.stringify({ mcpServers: noise(2000, 490) });
  // Claude's file is read before Cursor's.
  await put(".claude.json", HOSTILE);
  await put(".cursor/mcp.json", JSON.stringify({ mcpServers: { real: { command: "npx", args: ["-y", "@acme/x"] } } }));
  const [section] = await reported();
  expect(section?.isComplete).toBe(false);
  expect(section?.unread).toMatchObject([{ path: home, reason: /more than one report may/ }]);
  expect(section?.servers.length).toBeGreaterThan(100);
  expect(section?.servers.map(({ name }) => name)).toContain("real");
  expect(section?.observations.map(({ code }) => code)).toContain("UNPINNED");
});

test("a home with more files than a report holds is cut too", async () => {
  const skills = Array.from({ length: 2000 }, (_item, index) => {
    const path = `${home}/${randomBytes(900).toString("base64url")}`;
    return { name: `s${String(index)}`, kind: "skill", digest: "sha256:0", path } as const;
  });
  const section = { place: "home", path: home, isComplete: true, configsRead: 0 } as const;
  const cut = { ...section, unread: [], servers: [], installs: [], observations: [], skills };
  const whole = { ...cut, path: "/home/other", skills: skills.slice(0, 1) };
  const head = { version: 1, id: randomUUID(), takenAt: new Date().toISOString() } as const;
  const compressed = await packReport({ ...head, hostname: "h", platform: "linux", sections: [cut, whole] });
  const [first, second] = (await unpackReport(compressed)).sections;
  expect(first?.isComplete).toBe(false);
  expect(first?.skills.length).toBeGreaterThan(100);
  expect(second).toEqual(whole);
});

test("no evidence is longer than the control plane takes", async () => {
  const host = `${"a.".repeat(1500)}example`;
  await put(".cursor/mcp.json", JSON.stringify({ mcpServers: { long: { url: `http://${host}/mcp` } } }));
  const [section] = await reported();
  expect(section?.isComplete).toBe(true);
  expect(section?.observations.map(({ code }) => code)).toContain("PLAINTEXT-HTTP");
});

test("a report that fits is whole", async () => {
  await put(".cursor/mcp.json", JSON.stringify({ mcpServers: noise(20, 100) }));
  const [section] = await reported();
  expect(section).toMatchObject({ isComplete: true, unread: [] });
  expect(section?.servers).toHaveLength(20);
});
