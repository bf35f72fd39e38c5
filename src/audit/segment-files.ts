import { close, constants, fdatasync, open, write, writeSync } from "node:fs";
import { open as openHandle, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeFolder } from "../lib/make-folder.ts";
import { allocateBlocks, BLOCK_BYTES } from "./disk-blocks.ts";
import { DiskPace } from "./disk-pace.ts";

const NAME = /^decisions-(\d{8})\.journal$/;
const SPARE = "spare.journal";

/**
 * Linux makes a write with `O_DSYNC` durable in one trip to the thread pool; elsewhere a second one is needed (on macOS only
 * libuv's `fdatasync` empties the disk's cache).
 */
const SYNC_FLAG = process.platform === "linux" ? constants.O_DSYNC : 0;

/**
 * Past the page cache, which has no use for what is read at the next start alone: it takes half the CPU of a small durable write and
 * a quarter of its time.
 */
const DIRECT_FLAGS = constants.O_WRONLY | SYNC_FLAG | constants.O_DIRECT;
const PLAIN_FLAGS = constants.O_WRONLY | SYNC_FLAG;

const EMPTY_BLOCK = allocateBlocks(BLOCK_BYTES).subarray(0, BLOCK_BYTES);

/** What the event loop may write itself: larger groups are worth another thread's time, however quick the disk is. */
const INLINE_BYTES_MAX = 256 * 1024;

const openFile = promisify(open);
const closeFile = promisify(close);

/** An open segment. Not for two writes at a time. */
export interface Segment {
  readonly number: number;
  /** All bytes durable at `position` when it resolves. They MUST be blocks of `allocateBlocks`, and `position` whole blocks. */
  write(bytes: Buffer, position: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * The files of a journal in one directory of its own. Files are written full of zeros before they are used and used again
 * afterwards: overwriting allocated blocks needs no change of the file system's own records, which is a third of the time and CPU of
 * a small durable append, and the space is there when the disk is full.
 */
export class SegmentFiles {
  readonly #directory: string;
  readonly #bytes: number;
  readonly #pace: DiskPace;
  #writesDirectly = process.platform === "linux";
  #hasSpare = false;
  #preparing: Promise<void> | undefined;

  constructor(directory: string, bytes: number, pace: DiskPace = new DiskPace()) {
    this.#directory = directory;
    this.#bytes = bytes;
    this.#pace = pace;
  }

  /** Whether the event loop waits for a write of usual size itself. */
  get writesInline(): boolean {
    return SYNC_FLAG !== 0 && this.#pace.isQuick;
  }

  /** Numbers of the segments that an earlier process left, in order. Makes the directory if it is missing. */
  async list(): Promise<readonly number[]> {
    makeFolder(this.#directory, 0o700);
    const names = await readdir(this.#directory);
    // A spare of unknown age may be half filled: start over.
    await rm(join(this.#directory, SPARE), { force: true });
    return names
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .toSorted((left, right) => left - right);
  }

  read(number: number): Promise<Buffer> {
    return readFile(this.#path(number));
  }

  /** Fills a spare file in the background, so that the next `create` takes no time. */
  async prepare(): Promise<void> {
    if (this.#hasSpare) return;
    this.#preparing ??= this.#fillSpare().finally(() => {
      this.#preparing = undefined;
    });
    await this.#preparing;
  }

  async create(number: number): Promise<Segment> {
    await this.prepare();
    try {
      await rename(join(this.#directory, SPARE), this.#path(number));
    } finally {
      // Not before: a segment that is given up meanwhile would take the name. If the file is gone, the next try must make another.
      this.#hasSpare = false;
    }
    // The name must survive the loss of power as surely as the bytes do.
    await this.#syncDirectory();
    const path = this.#path(number);
    const fd = (this.#writesDirectly ? await openDirectly(path) : undefined) ?? (await openFile(path, PLAIN_FLAGS));
    return {
      number,
      write: (bytes, position) => this.#write(fd, bytes, position).catch((error: unknown) => this.#refuse(error)),
      close: () => closeFile(fd),
    };
  }

  /** Gives a segment up; its file becomes the spare if there is none. */
  async retire(number: number): Promise<void> {
    if (this.#hasSpare || this.#preparing !== undefined) return rm(this.#path(number), { force: true });
    // Whoever needs a spare meanwhile waits for this one: two of them would take each other's name.
    this.#preparing = this.#reuse(number).finally(() => {
      this.#preparing = undefined;
    });
    await this.#preparing;
  }

  async #reuse(number: number): Promise<void> {
    await rename(this.#path(number), join(this.#directory, SPARE));
    this.#hasSpare = true;
  }

  async #fillSpare(): Promise<void> {
    const handle = await openHandle(join(this.#directory, SPARE), "w", 0o600);
    try {
      const zeros = Buffer.alloc(Math.min(this.#bytes, 256 * 1024));
      for (let at = 0; at < this.#bytes; at += zeros.length) await handle.write(zeros, 0, zeros.length, at);
      await handle.sync();
    } catch (error) {
      // A half file must not hold the last free blocks of a full disk.
      await handle.truncate(0);
      throw error;
    } finally {
      await handle.close();
    }
    this.#hasSpare = true;
  }

  /**
   * Handing a write to the thread pool and hearing of it takes several times as long as a quick disk needs, and a third of a call's
   * CPU: while the disk is quick, the event loop waits itself (docs/decisions/decision-journal.md).
   */
  async #write(fd: number, bytes: Buffer, position: number): Promise<void> {
    if (this.writesInline && bytes.length <= INLINE_BYTES_MAX) {
      this.#pace.measure(() => writeInline(fd, bytes, position));
      return;
    }
    let written = 0;
    while (written < bytes.length) written += await writeOnce(fd, { bytes, from: written, position });
    if (SYNC_FLAG === 0) await promisify(fdatasync)(fd);
  }

  /** A disk that takes one block as it comes may still refuse many: the next segment is written through the page cache. */
  #refuse(error: unknown): never {
    if (error instanceof Error && "code" in error && error.code === "EINVAL") this.#writesDirectly = false;
    throw error;
  }

  async #syncDirectory(): Promise<void> {
    if (process.platform === "win32") return;
    const handle = await openHandle(this.#directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #path(number: number): string {
    return join(this.#directory, `decisions-${String(number).padStart(8, "0")}.journal`);
  }
}

/** Undefined where the first such write is refused: by the file system, or by a disk of larger blocks. */
async function openDirectly(path: string): Promise<number | undefined> {
  let fd: number | undefined;
  try {
    fd = await openFile(path, DIRECT_FLAGS);
    await writeOnce(fd, { bytes: EMPTY_BLOCK, from: 0, position: 0 });
    return fd;
  } catch {
    // Whatever else is wrong shows, and is told, when the file is opened and written without.
    if (fd !== undefined) await closeFile(fd);
    return undefined;
  }
}

function writeInline(fd: number, bytes: Buffer, position: number): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written, position + written);
}

/** One write in the thread pool, which may be short. The callback form costs less than a file handle's promise. */
function writeOnce(fd: number, part: { bytes: Buffer; from: number; position: number }): Promise<number> {
  const { bytes, from, position } = part;
  return new Promise((resolve, reject) => {
    write(fd, bytes, from, bytes.length - from, position + from, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}
