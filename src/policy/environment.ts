import type { CedarRecord, EntityUid, Result, Value } from "./value.ts";

/** What is known about one entity. `ancestors` holds the keys of all groups above it, at every depth. */
export interface EntityFacts {
  readonly uid: EntityUid;
  readonly ancestors: ReadonlySet<string>;
  readonly attributes: ReadonlyMap<string, Value>;
}

/** What one evaluation sees. */
export interface Environment {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarRecord;
  readonly factsOf: (entityKey: string) => EntityFacts | undefined;
  /** True while a list is filtered: parts of the context are then `Unknown`. */
  readonly isPartial: boolean;
}

/** A compiled expression. Never throws: a failing evaluation returns a `Failure`. */
export type Code = (environment: Environment) => Result;
