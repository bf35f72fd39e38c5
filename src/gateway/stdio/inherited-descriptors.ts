import { openSync, readdirSync, readFileSync } from "node:fs";
import { LIFELINE_FD } from "./child-script.ts";

// open(2): the bit of `flags` in /proc/<pid>/fdinfo, in octal there and here.
const O_CLOEXEC = 0o2000000;

let cover: readonly (number | "ignore")[] | undefined;

/**
 * The part of `spawn`'s `stdio` behind the lifeline that covers with `/dev/null` what would pass to a child. Node opens
 * everything close-on-exec; what was open when the gateway was started may not be.
 */
export function coverInherited(): readonly (number | "ignore")[] {
  cover ??= makeCover(LIFELINE_FD + 1);
  return cover;
}

function makeCover(from: number): (number | "ignore")[] {
  const passing = readPassing().filter((descriptor) => descriptor >= from);
  if (passing.length === 0) return [];
  const nothing = openSync("/dev/null", "r+");
  return Array.from({ length: Math.max(...passing) - from + 1 }, (_item, index) =>
    passing.includes(index + from) ? nothing : "ignore",
  );
}

function readPassing(): number[] {
  const folder = "/proc/self/fdinfo";
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    // Only Linux has this folder; elsewhere the start of Node has marked the usual descriptors.
    return [];
  }
  return names.filter((name) => isPassing(`${folder}/${name}`)).map(Number);
}

function isPassing(file: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    // The descriptor that listed the folder is closed by now.
    return false;
  }
}
