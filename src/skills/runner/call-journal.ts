import { createHash } from "node:crypto";
import type { CallReply, GuestCall } from "../sandbox/protocol.ts";

/** One inner call that was made: which (a hash and its occurrence among equal ones) and what came of it. */
export interface JournalEntry {
  readonly key: string;
  readonly reply: CallReply;
}

/** The calls a run has made. A rerun that is given it asks no server twice. Holds results: treat it as confidential. */
export type CallJournal = readonly JournalEntry[];

/** Identifies a call among those of its run, so that equal calls stay apart and parallel ones need no order. */
export class CallKeys {
  readonly #seen = new Map<string, number>();

  next({ server, tool, argumentsJson }: GuestCall): string {
    const hash = createHash("sha256")
      .update(JSON.stringify([server, tool, argumentsJson]))
      .digest("hex");
    const occurrence = (this.#seen.get(hash) ?? 0) + 1;
    this.#seen.set(hash, occurrence);
    return `${hash}#${occurrence}`;
  }

  reset(): void {
    this.#seen.clear();
  }
}
