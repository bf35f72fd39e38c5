import { z } from "zod";
import type { Store } from "../../store/ports.ts";
import type { DeviceReportRequests } from "./ports.ts";

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

/** Kept in the database over restarts, and in memory: one process at a time has the database, and every device asks again and again. */
export function createReportRequests(store: Store): DeviceReportRequests {
  let known: AllAndSingle | undefined;
  return {
    async request(at, deviceIds) {
      known = await store.transaction(async ({ values }) => {
        const requests = addRequest(parseRequests(await values.find(NAME)), at, deviceIds);
        await values.set(NAME, JSON.stringify(requests));
        return requests;
      });
    },
    async requestedAt(deviceId) {
      if (known === undefined) {
        const stored = parseRequests(await store.read(({ values }) => values.find(NAME)));
        // A request may have come meanwhile.
        known ??= stored;
      }
      return Math.max(known.all, known.single[deviceId] ?? 0);
    },
  };
}

function addRequest({ all, single }: AllAndSingle, at: number, deviceIds: readonly string[] | undefined): AllAndSingle {
  if (deviceIds === undefined) return { all: at, single: {} };
  const pending = Object.entries(single).filter(([, askedAt]) => at - askedAt < REQUEST_MS_MAX);
  return { all, single: Object.fromEntries([...pending, ...deviceIds.map((id) => [id, at] as const)]) };
}

function parseRequests(text: string | undefined): AllAndSingle {
  return text === undefined ? { all: 0, single: {} } : Requests.parse(JSON.parse(text));
}
