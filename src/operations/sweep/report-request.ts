import type { Repositories, Store } from "../../store/ports.ts";

const NAME = "sweep.reports-requested-at";

/** Asks all devices for a fresh report; see `reportsRequestedAt`. */
export function requestReports(store: Store, at: number): Promise<void> {
  return store.transaction(({ values }) => values.set(NAME, String(at)));
}

/** When a scan last asked for fresh reports; 0 for never. A device whose last report is older owes one. */
export async function reportsRequestedAt({ values }: Pick<Repositories, "values">): Promise<number> {
  return Number((await values.find(NAME)) ?? "0");
}
