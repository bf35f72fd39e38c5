import { z } from "zod";
import type { Device } from "../../domain/device.ts";
import { AppError } from "../../lib/errors.ts";
import type { Repositories } from "../../store/ports.ts";
import type { DeviceSeen } from "../../store/sweep-ports.ts";
import type { DeviceReportForm } from "../../sweep/device-report-form.ts";
import type { Caller, HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { unpackReport } from "./packed-report.ts";
import { isRevoked, revokedDevice } from "./revoked-devices.ts";

const Input = z.object({
  device: RefField.optional().describe("Device, by id or name; a device key reports for its own"),
  compressed: z
    .base64()
    .max(900_000)
    .optional()
    .describe("The report as JSON, gzip, base64, as `runlayer device report` makes it; leave out to check in only"),
});

type Input = z.output<typeof Input>;

const CHECK_IN_SECONDS_MIN = 5;
/** So that ten thousand devices ask no more than fifty times a second. */
const CHECK_INS_PER_SECOND = 50;
/** A sign of life is written no more often. */
const SEEN_MS = 30_000;

/** Takes the report of a device. The same report twice is one. */
export const submitDeviceReport = defineOperation({
  name: "submit_device_report",
  title: "Submit device report",
  description:
    "Takes what a device saw of its configurations, skills, installs and processes, redacted on the device; the next scan with target `devices` judges it. Without `compressed` the device only checks in. Returns whether the report was taken, whether a scan waits for a fresh one, and when to check in again.",
  route: "POST /device-reports",
  command: "devices submit-report",
  roles: ["owner", "admin", "security", "scanner"],
  isForDevices: true,
  effect: "write",
  action: "device.report",
  input: Input,
  output: z.object({
    device: z.object({ id: z.string(), name: z.string() }),
    accepted: z.boolean(),
    reason: z.enum(["checked_in", "duplicate", "older"]).optional().describe("Why no report was taken"),
    reportRequested: z.boolean().describe("A scan waits for a fresh report"),
    checkInSeconds: z.int().describe("When to ask again"),
    hashKey: z.string().describe("What a report hashes identities and secrets with"),
  }),
  async prepare(input, { caller, now, read, services }) {
    const isBySelf = caller.isDevice === true;
    const { compressed } = input;
    const report = compressed === undefined ? undefined : await unpackReport(compressed);
    // Devices are never deleted or given another key: what was read here still holds in the transaction.
    const device = await read((repositories) => findDevice(input, caller, repositories));
    if (isRevoked(device, { services, now })) throw revokedDevice(device);
    const requestedAt = await services.deviceReports.requestedAt(device.id);
    return (context) => take({ device, isBySelf, requestedAt, compressed, report }, { ...context, now });
  },
  event: ({ device, accepted }) =>
    accepted ? { resource: { type: "device", id: device.id, name: device.name } } : undefined,
  summarize: ({ device, accepted, reason }) =>
    `Device \`${device.name}\` (${device.id}): ${accepted ? "the report is taken" : (reason ?? "no report")}.`,
});

interface Received {
  readonly device: Device;
  /** With the device's own key; else an organization key spoke for it. */
  readonly isBySelf: boolean;
  readonly requestedAt: number;
  /** As it came, and what is in it. */
  readonly compressed: string | undefined;
  readonly report: DeviceReportForm | undefined;
}

type Refusal = "checked_in" | "duplicate" | "older" | undefined;

async function take(received: Received, context: HandleContext) {
  const { repositories, services } = context;
  const { device, requestedAt } = received;
  const reason = await store(received, context);
  const seen = signOfLife(received, { isTaken: reason === undefined, now: context.now });
  if (seen !== undefined) await repositories.devices.saveSeen(seen);
  // An upper bound that costs nothing: no more devices than keys.
  const devices = services.snapshot().keyById.size;
  return {
    device: { id: device.id, name: device.name },
    accepted: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
    reportRequested: requestedAt > (seen?.reportedAt ?? device.reportedAt ?? 0),
    checkInSeconds: Math.max(CHECK_IN_SECONDS_MIN, Math.ceil(devices / CHECK_INS_PER_SECOND)),
    hashKey: services.sweepHost.identityKey,
  };
}

/** Kept as it came: it was found to be a report, is a fifth of its text, and a scan unpacks it. */
async function store({ device, compressed, report }: Received, { repositories, now }: HandleContext): Promise<Refusal> {
  if (report === undefined || compressed === undefined) return "checked_in";
  const takenAt = Math.min(Date.parse(report.takenAt), now);
  const stored = { deviceId: device.id, reportId: report.id, receivedAt: now, takenAt, compressed };
  const outcome = await repositories.devices.saveReport(stored);
  return outcome === "taken" ? undefined : outcome;
}

async function findDevice(
  { device: ref }: Input,
  caller: Caller,
  { devices }: Pick<Repositories, "devices">,
): Promise<Device> {
  if (caller.isDevice !== true && ref === undefined) {
    throw new AppError("invalid_input", "name the `device`, or report with its own device key", {
      details: { field: "device" },
    });
  }
  const own = caller.isDevice === true ? await devices.findByKey(caller.actor.id) : undefined;
  if (own !== undefined && (ref === undefined || ref === own.id || ref === own.name)) return own;
  // A device key names no other device: that there is one is none of its business.
  if (caller.isDevice === true || ref === undefined)
    throw new AppError("not_found", "this key reports for no such device");
  return devices.get(ref);
}

/**
 * Only what this call saw: another one of the same device may be under way. A report by an organization key is newer than the device's last
 * sign of life: that is how a scan tells that nobody is there to be asked again, until something checks in.
 */
function signOfLife(
  { device: { id, lastSeenAt, reportedAt }, isBySelf, report }: Received,
  { isTaken, now }: { readonly isTaken: boolean; readonly now: number },
): DeviceSeen | undefined {
  if (report !== undefined && isTaken) {
    const { platform, hostname } = report;
    return { id, platform, hostname, lastSeenAt: isBySelf ? now : now - 1, reportedAt: now };
  }
  const seenAt = lastSeenAt ?? 0;
  const isKnown = now - seenAt < SEEN_MS && seenAt >= (reportedAt ?? 0);
  return isKnown ? undefined : { id, lastSeenAt: now };
}
