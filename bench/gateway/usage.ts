import { readdirSync, readFileSync } from "node:fs";

/** What a process has used, all its threads included, those that have ended too. */
export interface Usage {
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

const CLOCK_TICKS = 100;

/** Of any process by the kernel's own account (Linux, proc(5)); in steps of 10 ms. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const pages = Number(fields[21]);
  return { cpuMicros: (ticks / CLOCK_TICKS) * 1e6, rssBytes: pages * 4096 };
}

/** The processes that a process has started and that still run. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1")
      .split(" ")
      .filter((text) => text !== "")
      .map(Number),
  );
}
