import { Unzip, type UnzipFile, UnzipInflate, zipSync } from "fflate";
import { AppError } from "../../lib/errors.ts";
import { checkSkillPath, fileTooLarge, PACKAGE_LIMITS, packageTooLarge, type SkillFile } from "./skill-files.ts";

/** A zip is read in pieces of this size, so that a bomb is noticed after little of it is unpacked. */
const PIECE_BYTES = 16 * 1024;
/** Any date will do, but it must be the same: equal skills give equal zips. The format begins at 1980. */
const ZIP_DATE = "1980-01-01T00:00:00";
const CENTRAL_ENTRY = 0x02014b50;
const FILE_TYPE_MASK = 0o170000;
const SYMLINK = 0o120000;
const UNIX = 3;

/**
 * Unpacks a zip within the limits of a package, in memory bounded by them. One folder around everything is taken off.
 * Throws `payload_too_large` for a large zip or a bomb, `invalid_input` for unsafe paths, symbolic links and broken zips.
 */
export function readSkillZip(zip: Uint8Array): readonly SkillFile[] {
  if (zip.length > PACKAGE_LIMITS.totalBytes) throw packageTooLarge();
  refuseSymlinks(zip);
  const reader = new ZipReader();
  const unzip = new Unzip((file) => reader.open(file));
  unzip.register(UnzipInflate);
  try {
    for (let at = 0; at < zip.length; at += PIECE_BYTES) {
      unzip.push(zip.subarray(at, at + PIECE_BYTES), at + PIECE_BYTES >= zip.length);
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("invalid_input", "the zip is broken or not a zip", { cause: error });
  }
  return withoutOuterFolder(reader.close());
}

/** Packs files, in their given order and without times, so that equal files give equal bytes. */
export function writeSkillZip(files: readonly SkillFile[]): Uint8Array {
  return zipSync(Object.fromEntries(files.map(({ path, bytes }) => [path, bytes])), { mtime: ZIP_DATE, level: 6 });
}

class ZipReader {
  readonly #files: SkillFile[] = [];
  #opened = 0;
  #totalBytes = 0;

  open(entry: UnzipFile): void {
    if (entry.name.endsWith("/")) return;
    checkSkillPath(entry.name);
    this.#opened += 1;
    if (this.#opened > PACKAGE_LIMITS.files) {
      throw new AppError("payload_too_large", `the zip has more than ${PACKAGE_LIMITS.files} files`);
    }
    const pieces: Uint8Array[] = [];
    let fileBytes = 0;
    entry.ondata = (error, piece, isLast) => {
      if (error) throw error;
      fileBytes += piece.length;
      this.#totalBytes += piece.length;
      // The size that a zip declares is the attacker's word: what counts is what comes out.
      if (fileBytes > PACKAGE_LIMITS.fileBytes) throw fileTooLarge(entry.name);
      if (this.#totalBytes > PACKAGE_LIMITS.totalBytes) throw packageTooLarge();
      pieces.push(piece);
      if (isLast) this.#files.push({ path: entry.name, bytes: Buffer.concat(pieces) });
    };
    entry.start();
  }

  close(): readonly SkillFile[] {
    if (this.#files.length === 0 || this.#files.length < this.#opened) {
      throw new AppError("invalid_input", "the zip is cut off, empty or not a zip");
    }
    return this.#files;
  }
}

/** The streaming reader sees no file modes: they are in the central directory (APPNOTE.TXT §4.4.15). */
function refuseSymlinks(zip: Uint8Array): void {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  for (let at = 0; at + 46 <= zip.length; at += 1) {
    if (zip[at] !== 0x50 || view.getUint32(at, true) !== CENTRAL_ENTRY) continue;
    const madeBy = view.getUint16(at + 4, true) >> 8;
    const mode = view.getUint32(at + 38, true) >>> 16;
    if (madeBy === UNIX && (mode & FILE_TYPE_MASK) === SYMLINK) {
      throw new AppError("invalid_input", "the zip holds a symbolic link; put the file itself into it");
    }
  }
}

function withoutOuterFolder(files: readonly SkillFile[]): readonly SkillFile[] {
  if (files.some((file) => file.path === "SKILL.md")) return files;
  const [outer = ""] = files[0]?.path.split("/") ?? [];
  const prefix = `${outer}/`;
  if (!files.every((file) => file.path.startsWith(prefix))) return files;
  return files.map(({ path, bytes }) => ({ path: path.slice(prefix.length), bytes }));
}
