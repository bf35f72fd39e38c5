import type { Transaction } from "kysely";
import type { Change } from "../../ports.ts";
import type { Database } from "../schema.ts";

/** What a repository works with: the open transaction, and where it says which rows it touched. */
export interface RepositoryContext {
  readonly db: Transaction<Database>;
  readonly touch: (change: Change) => void;
}
