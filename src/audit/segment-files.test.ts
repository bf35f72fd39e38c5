import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
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

/** Whether some open file of this process, of this name, is written past the page cache. */
function isDirect(name: string): boolean {
  const files = readdirSync("/proc/self/fd").filter((fd) => linkOf(fd) === join(folder, name));
  return files.some((fd) => {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    return (Number.parseInt(flags, 8) & constants.O_DIRECT) !== 0;
  });
}

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The one that listed the folder is closed.
    return undefined;
  }
}

/** Whether the file system of `folder`, and its disk, take such a write at all. */
function takesDirectWrites(): boolean {
  const path = join(folder, "trial");
  writeFileSync(path, "");
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_DIRECT);
    writeSync(fd, blockOf("trial"), 0, BLOCK_BYTES, 0);
    closeSync(fd);
    return true;
  } catch {
    return false;
  }
}

test.runIf(process.platform === "linux")("writes past the page cache where that is possible", async () => {
  const { segment, onDisk } = await aSegment(new DiskPace(() => 0));
  expect(isDirect(SEGMENT)).toBe(takesDirectWrites());
  await segment.write(blockOf("decided"), BLOCK_BYTES);
  expect(onDisk(BLOCK_BYTES, 7)).toBe("decided");
  await segment.close();
});

test.runIf(process.platform === "linux").each([
  ["quick", () => new DiskPace(() => 0)],
  ["slow", aRestingPace],
])(
  "a %s disk that refuses a write as it came is written through the page cache from the next segment on",
  async (...[, pace]) => {
    const { files, segment } = await aSegment(pace());
    // Not whole blocks: some file systems take them all the same.
    const isRefused = await segment.write(Buffer.from("undecided"), 1).then(
      () => false,
      (error: unknown) => isInvalid(error),
    );
    await segment.close();
    const next = await files.create(2);
    expect(isDirect("decisions-00000002.journal")).toBe(!isRefused && takesDirectWrites());
    await next.write(blockOf("decided"), BLOCK_BYTES);
    await next.close();
    expect(readFileSync(join(folder, "decisions-00000002.journal"), "latin1")).toContain("decided");
  },
);

function isInvalid(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EINVAL";
}

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
