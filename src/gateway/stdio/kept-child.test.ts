import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../../../test/fixtures/mcp/stdio-place.ts";
import { KeptChild } from "./kept-child.ts";
import type { StdioChild } from "./start-child.ts";
import { createStdioSupervisor, type StdioSupervisor } from "./supervisor.ts";

const clock = { time: 0, now: () => clock.time };
let place: StdioPlace;
let supervisor: StdioSupervisor;

beforeAll(() => {
  place = makeStdioPlace();
});
afterEach(() => supervisor.close());
afterAll(() => place.remove());

function keep(behaviour: string, idleMs = 10_000): KeptChild<StdioChild> {
  supervisor = createStdioSupervisor({
    user: place.user,
    hiddenPaths: [],
    maskText: (text) => text,
    log: () => undefined,
    ladder: { stdinCloseMs: 5_000, sigtermMs: 300 },
  });
  const spec = { command: place.node, args: [place.script, behaviour], env: {}, label: "kept" };
  return new KeptChild({ start: () => supervisor.start(spec), label: "kept", clock, idleMs });
}

test("starts on first use and shares the child among leases", async () => {
  const kept = keep("good");
  expect(supervisor.count()).toBe(0);
  const [one, two] = await Promise.all([kept.lease(), kept.lease()]);
  expect(one.child.pid).toBe(two.child.pid);
  expect(supervisor.count()).toBe(1);
});

test("stops an idle child, but none in use, and starts another for the next lease", async () => {
  const kept = keep("good", 100);
  const one = await kept.lease();
  const two = await kept.lease();
  one.release();
  one.release();
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(supervisor.count()).toBe(1);
  two.release();
  await one.child.exited;
  const three = await kept.lease();
  expect(three.child.pid).not.toBe(one.child.pid);
});

async function crash(kept: KeptChild<StdioChild>): Promise<void> {
  const lease = await kept.lease();
  process.kill(lease.child.pid, "SIGKILL");
  await lease.child.exited;
  lease.release();
}

test("restarts at once after the first crash, then with pauses that double", async () => {
  const kept = keep("good");
  await crash(kept);
  for (const pause of [500, 1000, 2000, 4000]) {
    await crash(kept);
    await expect(kept.lease()).rejects.toMatchObject({ code: "unavailable", details: { retryAfterMs: pause } });
    clock.time += pause;
  }
});

test("a child that lived long counts its crash as the first", async () => {
  const kept = keep("good");
  for (let round = 0; round < 3; round += 1) {
    const lease = await kept.lease();
    clock.time += 31_000;
    process.kill(lease.child.pid, "SIGKILL");
    await lease.child.exited;
    lease.release();
  }
  expect((await kept.lease()).child.pid).toBeGreaterThan(0);
});

test("refuses after closing, and closing stops the child", async () => {
  const kept = keep("good");
  const { child } = await kept.lease();
  await kept.close();
  expect(await child.exited).toEqual({ code: 0, signal: null });
  await expect(kept.lease()).rejects.toMatchObject({ code: "unavailable" });
});
