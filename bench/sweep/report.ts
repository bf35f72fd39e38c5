import { spawnSync } from "node:child_process";

export interface Target {
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** Prints a measured number with its target; a missed one makes the exit code 1. */
export function check(name: string, value: number, target: Target = {}): void {
  const isMet = value <= (target.atMost ?? Infinity) && value >= (target.atLeast ?? -Infinity);
  if (!isMet) process.exitCode = 1;
  const bound = target.atMost === undefined ? (target.atLeast ?? "") : target.atMost;
  const sign = target.atMost === undefined ? (target.atLeast === undefined ? "" : "at least ") : "at most ";
  console.log(`${isMet ? "ok  " : "MISS"} ${name}: ${value.toFixed(2)} ${sign}${String(bound)}`);
}

/** Runs a bench as a process of its own; its failure is ours. */
export function runAlone(file: string, args: readonly string[] = []): void {
  const { status } = spawnSync(process.execPath, [file, ...args], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
