import type { Store } from "../../store/ports.ts";
import type { DeviceReportRequests } from "./ports.ts";

const NAME = "sweep.reports-requested-at";

/** Kept in the database over restarts, and in memory: one process at a time has the database, and every device asks again and again. */
export function createReportRequests(store: Store): DeviceReportRequests {
  let known: number | undefined;
  return {
    async request(at) {
      await store.transaction(({ values }) => values.set(NAME, String(at)));
      known = at;
    },
    async requestedAt() {
      if (known !== undefined) return known;
      const stored = await store.read(({ values }) => values.find(NAME));
      known ??= Number(stored ?? "0");
      return known;
    },
  };
}
