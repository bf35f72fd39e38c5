import { z } from "zod";
import type { Repositories, Store } from "../../store/ports.ts";

const NAME = "sweep.reports-requested-at";

/** A request is answered within the longest time that a scan may take, or never. */
const REQUEST_MS_MAX = 900_000;

interface AllAndSingle {
  readonly all: number;
  readonly single: Readonly<Record<string, number>>;
}

/** When all devices were asked last, and when single ones were. Older versions stored the first alone. */
const Requests = z.union([
  z.number().transform((all): AllAndSingle => ({ all, single: {} })),
  z.object({ all: z.number(), single: z.record(z.string(), z.number()) }),
]);

/** Asks these devices, or all, for a fresh report; see `reportsRequestedAt`. */
export function requestReports(store: Store, at: number, deviceIds?: readonly string[]): Promise<void> {
  return store.transaction(async ({ values }) => {
    const { all, single } = parseRequests(await values.find(NAME));
    const pending = Object.entries(single).filter(([, askedAt]) => at - askedAt < REQUEST_MS_MAX);
    const asked = (deviceIds ?? []).map((id) => [id, at] as const);
    const requests: AllAndSingle =
      deviceIds === undefined ? { all: at, single: {} } : { all, single: Object.fromEntries([...pending, ...asked]) };
    await values.set(NAME, JSON.stringify(requests));
  });
}

/** When a scan last asked this device for a fresh report; 0 for never. If its last report is older, it owes one. */
export async function reportsRequestedAt({ values }: Pick<Repositories, "values">, deviceId: string): Promise<number> {
  const { all, single } = parseRequests(await values.find(NAME));
  return Math.max(all, single[deviceId] ?? 0);
}

function parseRequests(text: string | undefined): AllAndSingle {
  return text === undefined ? { all: 0, single: {} } : Requests.parse(JSON.parse(text));
}
