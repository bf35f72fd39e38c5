import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** Larger than any configuration seen; a history file beside one can be this large. */
const CONFIG_BYTES_MAX = 20 * 1024 * 1024;

export type FileText =
  | { readonly status: "read"; readonly text: string; readonly mode: number; readonly owner: number }
  | { readonly status: "missing" }
  | { readonly status: "unreadable"; readonly reason: string }
  | { readonly status: "malformed"; readonly reason: string };

/** A writer that is quicker than this many reads is at work all the time. */
const ATTEMPTS_MAX = 3;

/**
 * Reads a text that anyone may have put there. Pipes, devices and folders are refused without blocking, size is bounded, UTF-16 and byte-order
 * marks are decoded; a file that changes meanwhile is read again, or said to be unreadable. Never throws.
 */
export async function readBoundedText(path: string, bytesMax = CONFIG_BYTES_MAX): Promise<FileText> {
  return readBounded(path, bytesMax, toText);
}

/** As `readBoundedText`, for files whose text has to be taken out of their bytes; `extract` may throw `RangeError` or `TypeError`. */
export async function readBoundedWith(path: string, extract: (bytes: Buffer) => string): Promise<FileText> {
  return readBounded(path, CONFIG_BYTES_MAX, (bytes) => {
    try {
      return { status: "read", text: extract(bytes) };
    } catch (error) {
      if (error instanceof RangeError || error instanceof TypeError)
        return { status: "malformed", reason: "invalid content" };
      throw error;
    }
  });
}

type Decoded =
  | { readonly status: "read"; readonly text: string }
  | { readonly status: "malformed"; readonly reason: string };

async function readBounded(path: string, bytesMax: number, decode: (bytes: Buffer) => Decoded): Promise<FileText> {
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const read = await readOnce(path, bytesMax, decode);
      if (read !== undefined) return read;
    }
    return { status: "unreadable", reason: "changed while it was read" };
  } catch (error) {
    return toFailure(error);
  }
}

/** Undefined where it is not the file any more that it was before. */
async function readOnce(
  path: string,
  bytesMax: number,
  decode: (bytes: Buffer) => Decoded,
): Promise<FileText | undefined> {
  // Without O_NONBLOCK, opening a named pipe would wait for its writer forever.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const before = await file.stat();
    if (!before.isFile()) return { status: "unreadable", reason: "not a regular file" };
    if (before.size > bytesMax) return { status: "unreadable", reason: `larger than ${String(bytesMax)} bytes` };
    // One byte more than there should be tells that it grew.
    const buffer = Buffer.alloc(before.size + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const after = await file.stat();
    if (bytesRead !== before.size || after.size !== before.size || after.mtimeMs !== before.mtimeMs) return undefined;
    const decoded = decode(buffer.subarray(0, bytesRead));
    return decoded.status === "read" ? { ...decoded, mode: before.mode, owner: before.uid } : decoded;
  } finally {
    await file.close();
  }
}

/** Whether the mode of a file lets its group or everyone write. Windows keeps such rights elsewhere, its modes say nothing. */
export function mayOthersWrite(mode: number): boolean {
  return process.platform !== "win32" && (mode & 0o022) !== 0;
}

/** The code of a system error, or the empty text. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Why something that is there could not be read; undefined where nothing is there. Throws what is no system error. */
export function unreadReason(error: unknown): string | undefined {
  const code = errorCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return undefined;
  if (code === "") throw error;
  if (code === "EACCES" || code === "EPERM") return "no permission";
  return code === "ELOOP" ? "symbolic links in a circle" : code;
}

function toFailure(error: unknown): FileText {
  const reason = unreadReason(error);
  return reason === undefined ? { status: "missing" } : { status: "unreadable", reason };
}

function toText(bytes: Buffer): Decoded {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  if (encoding === "utf-8" && bytes.includes(0)) return { status: "malformed", reason: "binary content" };
  try {
    return { status: "read", text: new TextDecoder(encoding, { fatal: true }).decode(bytes) };
  } catch (error) {
    if (error instanceof TypeError) return { status: "malformed", reason: `not valid ${encoding}` };
    throw error;
  }
}
