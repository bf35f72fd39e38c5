import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../lib/errors.ts";
import { type CheckIn, type Receipt, submitReport } from "./control-plane.ts";
import { type DeviceState, dropPending, readPending, readState, writePending, writeState } from "./device-state.ts";
import { makeReport, type ReportScope } from "./make-report.ts";

export interface ReporterOptions {
  /** Where the device keeps its key and what could not be sent yet. */
  readonly folder: string;
  readonly scope: ReportScope;
  readonly log: (line: string) => void;
  /** Hears what the control plane said to each report that reached it. */
  readonly onSent: (receipt: Receipt) => void;
}

/** Reports once. Throws `unavailable` where the control plane is away; the report is then kept and sent with the next. */
export async function reportOnce(options: ReporterOptions): Promise<void> {
  const { folder, scope } = options;
  const state = await readState(folder);
  const hashKey = state.hashKey ?? (await checkIn(folder, state)).hashKey;
  await writePending(folder, await makeReport(scope, hashKey));
  await sendPending(options);
}

/**
 * Reports every `everyMs`, and when a scan asks, until the signal fires. While the control plane is away it goes on reading and keeps
 * the newest report; when it is back it catches up. Throws only where the key is not accepted any more.
 */
export async function reportForever(
  options: ReporterOptions & { readonly everyMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const { folder, scope, log, everyMs, signal } = options;
  let dueAt = 0;
  while (!signal.aborted) {
    const state = await readState(folder);
    const answer = await tolerate(() => checkIn(folder, state), log);
    const hashKey = answer?.hashKey ?? state.hashKey;
    if (hashKey !== undefined && (Date.now() >= dueAt || answer?.reportRequested === true)) {
      dueAt = Date.now() + everyMs;
      await tolerate(async () => writePending(folder, await makeReport(scope, hashKey)), log);
    }
    if (answer !== undefined) await tolerate(() => sendPending(options), log);
    const pauseMs = (answer?.checkInSeconds ?? OFFLINE_SECONDS) * 1000;
    // The signal ends the pause; the loop then ends by itself.
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

const OFFLINE_SECONDS = 30;

async function checkIn(folder: string, state: DeviceState): Promise<CheckIn> {
  const answer = await submitReport(state);
  if (answer.hashKey !== state.hashKey) await writeState(folder, { ...state, hashKey: answer.hashKey });
  return answer;
}

async function sendPending({ folder, onSent }: ReporterOptions): Promise<void> {
  const pending = await readPending(folder);
  if (pending === undefined) return;
  const { accepted, reason } = await submitReport(await readState(folder), pending);
  await dropPending(folder);
  onSent({ accepted, ...(reason === undefined ? {} : { reason }) });
}

/** A control plane that is away is no reason to stop; a key that it refuses is. */
async function tolerate<T>(work: () => Promise<T>, log: (line: string) => void): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError) || error.code === "unauthenticated" || error.code === "forbidden") throw error;
    log(error.message);
    return undefined;
  }
}
