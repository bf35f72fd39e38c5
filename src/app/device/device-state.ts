import { chmod, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { makeFolder } from "../../lib/make-folder.ts";

const State = z.object({
  url: z.url(),
  key: z.string(),
  /** What the control plane said last: without it no report can be made while it is away. */
  hashKey: z.string().optional(),
});

/** What a device keeps between reports, in a folder that only its account reads. */
export type DeviceState = z.output<typeof State>;

/** Throws `not_found` where the device was not enrolled. */
export async function readState(folder: string): Promise<DeviceState> {
  const text = await readIfThere(join(folder, STATE_FILE));
  if (text === undefined) {
    throw new AppError("not_found", "this device is not enrolled; run `runlayer device enroll --url … --key …`");
  }
  return State.parse(JSON.parse(text));
}

export async function writeState(folder: string, state: DeviceState): Promise<void> {
  await writePrivate(folder, STATE_FILE, JSON.stringify(state));
}

/** The report that could not be sent yet; a newer one replaces it. */
export async function readPending(folder: string): Promise<string | undefined> {
  return readIfThere(join(folder, PENDING_FILE));
}

export async function writePending(folder: string, compressed: string): Promise<void> {
  await writePrivate(folder, PENDING_FILE, compressed);
}

export async function dropPending(folder: string): Promise<void> {
  await rm(join(folder, PENDING_FILE), { force: true });
}

const STATE_FILE = "device.json";
const PENDING_FILE = "pending-report";

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all, also when the power goes, and never readable by others. */
async function writePrivate(folder: string, name: string, text: string): Promise<void> {
  makeFolder(folder, 0o700);
  await chmod(folder, 0o700);
  const path = join(folder, name);
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}
