import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { at, callRest, textAt } from "../harness/app.ts";
import { restAll, startServe, type ServeProcess } from "../harness/serve-process.ts";

const OWNER_KEY = `rl_org_${"kill-reports-".repeat(4)}`;
const DEVICES = 8;
const ROUNDS = 5;

interface Lane {
  readonly key: string;
  /** Reports whose taking was answered, by id. */
  readonly taken: Set<string>;
  /** The last that was sent: as the device keeps it until it has an answer. */
  pending: { readonly id: string; readonly compressed: string } | undefined;
}

test("kill -9 of the server while devices report loses no report that was answered and takes none twice", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-kill-reports-"));
  let serving = await startServe({ dataDir, ownerKey: OWNER_KEY });
  try {
    const lanes: Lane[] = [];
    for (let index = 0; index < DEVICES; index += 1) {
      const { body } = await serving.rest("POST /devices", { name: `laptop-${index}` });
      lanes.push({ key: textAt(body, "key"), taken: new Set(), pending: undefined });
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      await reportAndKill(serving, lanes);
      serving = await startServe({ dataDir, ownerKey: OWNER_KEY });
      await catchUp(serving, lanes);
    }
    const taken = lanes.reduce((sum, lane) => sum + lane.taken.size, 0);
    const events = await restAll(serving, "GET /audit-events", { action: "device.report" });
    expect(events).toHaveLength(taken);
    expect(taken).toBeGreaterThan(ROUNDS * DEVICES);
  } finally {
    await serving.kill();
    rmSync(dataDir, { recursive: true, force: true });
  }
});

async function reportAndKill(serving: ServeProcess, lanes: readonly Lane[]): Promise<void> {
  const reporting = Promise.allSettled(
    lanes.map(async (lane) => {
      for (;;) {
        lane.pending = newReport();
        expect(await send(serving, lane)).toMatchObject({ accepted: true });
        lane.taken.add(lane.pending.id);
      }
    }),
  );
  await sleep(500 + Math.random() * 700);
  await serving.kill();
  await reporting;
}

/** What a reporter does after it lost its control plane: sends what it still has. */
async function catchUp(serving: ServeProcess, lanes: readonly Lane[]): Promise<void> {
  for (const lane of lanes) {
    const id = lane.pending?.id ?? "";
    const wasAnswered = lane.taken.has(id);
    const answer = await send(serving, lane);
    // Without an answer it may have been stored all the same; with one it must have been.
    const isStored = at(answer, "accepted") === false && at(answer, "reason") === "duplicate";
    if (wasAnswered) expect(answer).toMatchObject({ accepted: false, reason: "duplicate" });
    else expect(at(answer, "accepted") === true || isStored).toBe(true);
    lane.taken.add(id);
  }
}

async function send({ url }: ServeProcess, { key, pending }: Lane): Promise<unknown> {
  const input = { compressed: pending?.compressed };
  return (await callRest(url, { route: "POST /device-reports", input, key })).body;
}

function newReport() {
  const id = randomUUID();
  const takenAt = new Date().toISOString();
  const report = { version: 1, id, takenAt, hostname: "h", platform: "linux", sections: [] };
  return { id, compressed: gzipSync(JSON.stringify(report)).toString("base64") };
}
