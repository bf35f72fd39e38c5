import { createHash } from "node:crypto";
import { AppError } from "../../lib/errors.ts";

/** A file of a skill: its path inside the skill's folder, and its bytes. */
export interface SkillFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What is shown of a file. */
export interface SkillFileSummary {
  readonly path: string;
  /** `sha256:<hex>` of the bytes. */
  readonly digest: string;
  readonly size: number;
  readonly isText: boolean;
}

/** Bounds of a package: 16 MiB holds instructions, scripts and pictures; more is data that belongs elsewhere. */
export const PACKAGE_LIMITS = {
  files: 500,
  fileBytes: 4 * 1024 * 1024,
  totalBytes: 16 * 1024 * 1024,
  pathLength: 240,
  pathDepth: 16,
} as const;

/** Device names that Windows opens instead of a file, with any extension. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
// Control characters, and what Windows refuses in names or reads as another file (streams, separators).
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const BAD_CHARACTER = /[\u0000-\u001f\u007f-\u009f<>:"|?*\\]/;

/** Throws `invalid_input` unless the path is safe to write below any folder on any system. */
export function checkSkillPath(path: string): void {
  const problem = findPathProblem(path);
  if (problem !== undefined) throw new AppError("invalid_input", `file \`${printable(path)}\` ${problem}`);
}

/** The files in one order, within all limits, no two paths that one file system takes for the same. Throws otherwise. */
export function checkSkillFiles(files: readonly SkillFile[]): readonly SkillFile[] {
  if (files.length > PACKAGE_LIMITS.files) throw tooLarge(`the skill has more than ${PACKAGE_LIMITS.files} files`);
  const seen = new Set<string>();
  let totalBytes = 0;
  for (const { path, bytes } of files) {
    checkSkillPath(path);
    // Case-insensitive systems and Unicode forms fold different names into one file.
    const folded = path.normalize("NFC").toLowerCase();
    if (seen.has(folded)) throw new AppError("invalid_input", `file \`${printable(path)}\` is there twice`);
    seen.add(folded);
    if (bytes.length > PACKAGE_LIMITS.fileBytes) throw fileTooLarge(path);
    totalBytes += bytes.length;
  }
  if (totalBytes > PACKAGE_LIMITS.totalBytes) throw packageTooLarge();
  return files.toSorted((left, right) => (left.path < right.path ? -1 : 1));
}

/** Digest, size and kind of each file. */
export function summarizeFiles(files: readonly SkillFile[]): readonly SkillFileSummary[] {
  return files.map(({ path, bytes }) => ({
    path,
    digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
    size: bytes.length,
    isText: decodeText(bytes) !== undefined,
  }));
}

/** The text of a file, or undefined when it is binary: no valid UTF-8, or a NUL in it. */
export function decodeText(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

export function fileTooLarge(path: string): AppError {
  return tooLarge(`file \`${printable(path)}\` is larger than ${PACKAGE_LIMITS.fileBytes} bytes`);
}

export function packageTooLarge(): AppError {
  return tooLarge(`the skill is larger than ${PACKAGE_LIMITS.totalBytes} bytes`);
}

function tooLarge(message: string): AppError {
  return new AppError("payload_too_large", message);
}

function findPathProblem(path: string): string | undefined {
  if (path.length === 0 || path.length > PACKAGE_LIMITS.pathLength) return "has no usable path";
  if (!path.isWellFormed() || BAD_CHARACTER.test(path)) return "has a character that is not allowed in a path";
  if (path.startsWith("/")) return "must be relative to the skill's folder";
  const parts = path.split("/");
  if (parts.length > PACKAGE_LIMITS.pathDepth) return "lies too deep";
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "leaves the skill's folder";
  if (parts.some((part) => DEVICE.test(part) || /[. ]$/.test(part))) return "has a name that some systems cannot hold";
  return undefined;
}

function printable(path: string): string {
  return JSON.stringify(path.slice(0, 120)).slice(1, -1);
}
