import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { AuditEventDraft } from "../../src/domain/audit-event.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";

const WRITER = new URL("./kill-writer.ts", import.meta.url);

/** Kills a writing process at a random moment, many times over on one database, and checks each time that nothing is half done. */
export async function killRounds(rounds: number): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-kill-"));
  const committed: string[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      committed.push(...(await killWriter(dataDir)));
      await assertWhole(dataDir, committed);
    }
    expect(committed.length).toBeGreaterThan(rounds);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The ids that the process saw committed before it died. */
async function killWriter(dataDir: string): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER.pathname, dataDir], { stdio: ["ignore", "pipe", "inherit"] });
  const output = text(child.stdout);
  await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  await sleep(Math.random() * 150);
  const hasEnded = once(child, "exit");
  child.kill("SIGKILL");
  const [, signal] = await hasEnded;
  expect(signal).toBe("SIGKILL");
  const lines = (await output).split("\n");
  // The last line may be cut.
  return lines.slice(0, -1);
}

async function assertWhole(dataDir: string, committed: readonly string[]): Promise<void> {
  // Opens although the process died: its lock died with it.
  const store = await openStore({ dataDir, clock: systemClock });
  const found = await store.read(async ({ servers, audit }) => ({
    servers: (await servers.list({}, { limit: 100_000 })).items.map((server) => server.id),
    staged: (await audit.takeStaged(100_000)).map(({ draft }) => resourceId(draft)),
    logged: (await audit.list({}, { limit: 100_000, order: "asc" })).items,
  }));
  await store.close();
  const events = [...found.logged.map((event) => event.resource.id), ...found.staged];
  expect(events.toSorted()).toEqual(found.servers.toSorted());
  expect(found.logged.map((event) => event.seq)).toEqual(found.logged.map((_, index) => index + 1));
  const known = new Set(found.servers);
  expect(committed.filter((id) => !known.has(id))).toEqual([]);
}

function resourceId(text: string): string {
  const { resource }: AuditEventDraft = JSON.parse(text);
  return resource.id;
}
