import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { allocateBlocks, BLOCK_BYTES } from "./disk-blocks.ts";
import { DiskPace } from "./disk-pace.ts";
import { SegmentFiles } from "./segment-files.ts";

const SEGMENT = "decisions-00000001.journal";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "runlayer-segments-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function aSegment(pace: DiskPace) {
  const files = new SegmentFiles(folder, 1024 * 1024, pace);
  await files.list();
  const segment = await files.create(1);
  const onDisk = (from: number, length: number): string =>
    readFileSync(join(folder, SEGMENT)).toString("latin1", from, from + length);
  return { files, segment, onDisk };
}

/** `text`, and zeros up to the end of its block. */
function blockOf(text: string): Buffer {
  const block = allocateBlocks(BLOCK_BYTES).subarray(0, BLOCK_BYTES);
  block.write(text);
  return block;
}

function aRestingPace(): DiskPace {
  let now = 0;
  const pace = new DiskPace(() => now);
  pace.measure(() => (now += 50));
  return pace;
}

test.runIf(process.platform === "linux")("writes at once while the disk is quick", async () => {
  const { files, segment, onDisk } = await aSegment(new DiskPace(() => 0));
  expect(files.writesInline).toBe(true);
  const written = segment.write(blockOf("decided"), BLOCK_BYTES);
  expect(onDisk(BLOCK_BYTES, 7)).toBe("decided");
  await written;
  await segment.close();
});

test("leaves large groups to another thread", async () => {
  const { segment, onDisk } = await aSegment(new DiskPace(() => 0));
  const size = 512 * 1024;
  await segment.write(allocateBlocks(size).fill("x"), BLOCK_BYTES);
  expect(onDisk(BLOCK_BYTES, size)).toBe("x".repeat(size));
  await segment.close();
});

test("leaves all to another thread while the disk is slow", async () => {
  const { files, segment, onDisk } = await aSegment(aRestingPace());
  expect(files.writesInline).toBe(false);
  await segment.write(blockOf("decided"), BLOCK_BYTES);
  expect(onDisk(BLOCK_BYTES, 7)).toBe("decided");
  await segment.close();
});

test.each([
  ["quick", () => new DiskPace(() => 0)],
  ["slow", aRestingPace],
])("rejects what a %s disk refuses", async (_, pace) => {
  const { segment } = await aSegment(pace());
  await segment.close();
  await expect(segment.write(blockOf("decided"), 0)).rejects.toMatchObject({ code: "EBADF" });
});

test("a segment that is given up while the spare file is taken does not take its name", async () => {
  const { files, segment } = await aSegment(new DiskPace(() => 0));
  await files.prepare();
  const created = files.create(2);
  // Until its rename is on the way.
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  await Promise.all([files.retire(1), segment.close()]);
  const next = await created;
  expect(readdirSync(folder)).toEqual(["decisions-00000002.journal"]);
  const last = await files.create(3);
  await Promise.all([next.close(), last.close()]);
});
