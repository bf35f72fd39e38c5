import { setImmediate } from "node:timers/promises";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { UpstreamFault } from "../upstream.ts";
import { StdioChannel } from "./stdio-channel.ts";

const MB = 1024 * 1024;
const SILENCE_MS = 300_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

test("keeps messages for a child that does not read them up to a bound", async () => {
  const { channel, faults } = await start();
  for (let count = 0; count < 3; count += 1) channel.send(Buffer.alloc(4 * MB));
  expect(faults).toEqual([]);
  channel.send(Buffer.alloc(4 * MB));
  channel.send(Buffer.alloc(4 * MB));
  expect(faults).toMatchObject([{ kind: "refused" }]);
});

test("gives up a child that takes nothing of what waits for it", async () => {
  const { channel, faults } = await start();
  for (let id = 0; id < 3; id += 1) channel.send(Buffer.alloc(MB));
  vi.advanceTimersByTime(SILENCE_MS - 1);
  expect(faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(faults).toMatchObject([{ kind: "reset" }]);
});

test("waits for a child that reads, however slowly, and for one that has read all", async () => {
  const { channel, faults, stdin } = await start();
  for (let id = 0; id < 5; id += 1) channel.send(Buffer.alloc(MB));
  for (let id = 0; id < 5; id += 1) {
    vi.advanceTimersByTime(SILENCE_MS - 1);
    stdin.read();
    await setImmediate();
  }
  expect([faults, stdin.writableLength]).toEqual([[], 0]);
  vi.advanceTimersByTime(10 * SILENCE_MS);
  expect([faults, vi.getTimerCount()]).toEqual([[], 0]);
});

/** A channel to a child of which the test is the far end. */
async function start() {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const child = { stdin, stdout, exited: new Promise<never>(() => undefined), stop: () => Promise.resolve() };
  const faults: UpstreamFault[] = [];
  const listener = { message: () => undefined, closed: (fault: UpstreamFault) => void faults.push(fault) };
  const channel = new StdioChannel(Promise.resolve(child), listener);
  await setImmediate();
  return { channel, faults, stdin };
}
