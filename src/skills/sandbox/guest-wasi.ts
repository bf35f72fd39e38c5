import { randomInt } from "node:crypto";

interface GuestWasi extends Record<string, (...values: never[]) => number> {
  clock_time_get(clock: number, precision: bigint, resultAt: number): number;
  fd_write(fd: number, vectors: number, count: number, writtenAt: number): number;
}

const NANOSECONDS_PER_MS = 1_000_000;

/** The two system calls (WASI preview 1) in which an engine would touch the process: its clock and its output. */
export function guestWasi(memory: { readonly buffer: ArrayBuffer }): GuestWasi {
  return {
    clock_time_get(_clock, _precision, resultAt) {
      // Whole milliseconds, as `Date` shows them; the rest is chance, because the engine seeds `Math.random` from it.
      const chance = randomInt(NANOSECONDS_PER_MS);
      const time = BigInt(Date.now()) * BigInt(NANOSECONDS_PER_MS) + BigInt(chance);
      new DataView(memory.buffer).setBigUint64(resultAt, time, true);
      return 0;
    },
    // The engine prints diagnostics: claims that everything was written.
    fd_write(...[, vectors, count, writtenAt]) {
      const view = new DataView(memory.buffer);
      let written = 0;
      for (let index = 0; index < count; index += 1) written += view.getUint32(vectors + index * 8 + 4, true);
      view.setUint32(writtenAt, written, true);
      return 0;
    },
  };
}
