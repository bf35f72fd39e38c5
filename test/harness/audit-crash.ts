import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect } from "vitest";
import { leafHash } from "../../src/domain/audit-leaf.ts";
import { allEvents, LOAD_SEGMENT_BYTES, newFolder, openAudit, removeFolder } from "./audit.ts";

const LOAD = join(import.meta.dirname, "../fixtures/audit-load.ts");

/** Kills a loaded audit log again and again, and requires one event for each thing that it ever acknowledged. */
export async function provesCrashSafety(rounds: number, databaseUrl?: string): Promise<void> {
  const folder = newFolder();
  const place: Place = { folder, databaseUrl };
  try {
    const acknowledged = new Set<string>();
    for (let round = 0; round < rounds; round += 1) {
      const lines = await loadAndKill(place, 150 + ((round * 97) % 400));
      for (const line of lines) acknowledged.add(line.slice(2));
    }
    expect(acknowledged.size).toBeGreaterThan(rounds * 20);
    await expectComplete(place, acknowledged);
  } finally {
    removeFolder(folder);
  }
}

interface Place {
  readonly folder: string;
  readonly databaseUrl?: string | undefined;
}

async function loadAndKill({ folder, databaseUrl }: Place, loadMs: number): Promise<readonly string[]> {
  const place = databaseUrl === undefined ? [folder] : [folder, databaseUrl];
  const child = spawn(process.execPath, [LOAD, ...place], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === "ready") setTimeout(() => child.kill("SIGKILL"), loadMs);
    else lines.push(line);
  }
  const [, signal] = await exited;
  expect(signal).toBe("SIGKILL");
  return lines;
}

async function expectComplete(place: Place, acknowledged: ReadonlySet<string>): Promise<void> {
  const { log, store, problems } = await openAudit(place.folder, { ...place, segmentBytes: LOAD_SEGMENT_BYTES });
  const events = await allEvents(store);
  await log.close();
  await store.close();
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  const recorded = new Set(events.map(({ id }) => id));
  expect(recorded.size).toBe(events.length);
  expect([...acknowledged].filter((id) => !recorded.has(id))).toEqual([]);
  expect(events.filter((event) => leafHash(event) !== event.leafHash)).toEqual([]);
  expect(events.some(({ reason }) => reason === "unknown_after_crash")).toBe(true);
  expect(problems).toEqual([]);
}
