import type { Transaction } from "kysely";
import type { Change } from "../../ports.ts";
import type { Database } from "../schema.ts";

/** Writes events that are given as the lines of `toEventLines`, from `firstSeq` on, as rows of the log. */
export type PlaceEvents = (db: Transaction<Database>, lines: string, firstSeq: number) => Promise<void>;

/** What a repository works with: the open transaction, and where it says which rows it touched. */
export interface RepositoryContext {
  readonly db: Transaction<Database>;
  readonly placeEvents: PlaceEvents;
  readonly touch: (change: Change) => void;
}
