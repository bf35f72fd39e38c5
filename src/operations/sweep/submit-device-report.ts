import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { z } from "zod";
import type { Device } from "../../domain/device.ts";
import { AppError } from "../../lib/errors.ts";
import { DeviceReportForm } from "../../sweep/device-report-form.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { toInvalidInput } from "../invalid-input.ts";
import { reportsRequestedAt } from "./report-request.ts";

const Input = z.object({
  device: RefField.optional().describe("Device, by id or name; a device key reports for its own"),
  compressed: z
    .base64()
    .max(900_000)
    .optional()
    .describe("The report as JSON, gzip, base64, as `runlayer device report` makes it; leave out to check in only"),
});

type Input = z.output<typeof Input>;

/** Far more than a report of thousands of servers; what unpacks to more is no report. */
const REPORT_BYTES_MAX = 16 * 1_048_576;
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
  async prepare(input, { now }) {
    const report = input.compressed === undefined ? undefined : await unpack(input.compressed);
    return (context) => take(input, { report, receivedAt: now }, context);
  },
  event: ({ device, accepted }) =>
    accepted ? { resource: { type: "device", id: device.id, name: device.name } } : undefined,
  summarize: ({ device, accepted, reason }) =>
    `Device \`${device.name}\` (${device.id}): ${accepted ? "the report is taken" : (reason ?? "no report")}.`,
});

async function unpack(compressed: string): Promise<DeviceReportForm> {
  const bytes = await promisify(gunzip)(Buffer.from(compressed, "base64"), { maxOutputLength: REPORT_BYTES_MAX }).catch(
    (error: unknown) => {
      const message = `\`compressed\` is no gzip of at most ${REPORT_BYTES_MAX} bytes`;
      throw new AppError("invalid_input", message, { details: { field: "compressed" }, cause: error });
    },
  );
  const parsed = DeviceReportForm.safeParse(parseJson(bytes.toString("utf8")));
  if (parsed.success) return parsed.data;
  throw toInvalidInput(parsed.error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError("invalid_input", "`compressed` holds no JSON", {
      details: { field: "compressed" },
      cause: error,
    });
  }
}

interface Received {
  readonly report: DeviceReportForm | undefined;
  readonly receivedAt: number;
}

async function take(input: Input, { report, receivedAt }: Received, context: HandleContext) {
  const { repositories, services } = context;
  const device = await findDevice(input, context);
  const reason: Refusal = report === undefined ? "checked_in" : await refusalOf(device, report, context);
  if (report !== undefined && reason === undefined) {
    const takenAt = Math.min(Date.parse(report.takenAt), receivedAt);
    const body = JSON.stringify(report);
    await repositories.devices.saveReport({ deviceId: device.id, reportId: report.id, receivedAt, takenAt, body });
  }
  const seen = withSignOfLife(device, { report: reason === undefined ? report : undefined, receivedAt });
  if (seen !== device) await repositories.devices.saveSeen(seen);
  // An upper bound that costs nothing: no more devices than keys.
  const devices = services.snapshot().keyById.size;
  return {
    device: { id: device.id, name: device.name },
    accepted: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
    reportRequested: (await reportsRequestedAt(repositories, device.id)) > (seen.reportedAt ?? 0),
    checkInSeconds: Math.max(CHECK_IN_SECONDS_MIN, Math.ceil(devices / CHECK_INS_PER_SECOND)),
    hashKey: services.sweepHost.identityKey,
  };
}

async function findDevice({ device: ref }: Input, { repositories, caller }: HandleContext): Promise<Device> {
  if (caller.isDevice !== true && ref === undefined) {
    throw new AppError("invalid_input", "name the `device`, or report with its own device key", {
      details: { field: "device" },
    });
  }
  const own = caller.isDevice === true ? await repositories.devices.findByKey(caller.actor.id) : undefined;
  if (own !== undefined && (ref === undefined || ref === own.id || ref === own.name)) return own;
  // A device key names no other device: that there is one is none of its business.
  if (caller.isDevice === true || ref === undefined)
    throw new AppError("not_found", "this key reports for no such device");
  return repositories.devices.get(ref);
}

type Refusal = "checked_in" | "duplicate" | "older" | undefined;

/** Reports may come late and in any order: the newest stays. */
async function refusalOf(device: Device, report: DeviceReportForm, { repositories }: HandleContext): Promise<Refusal> {
  const stored = await repositories.devices.report(device.id);
  if (stored?.reportId === report.id) return "duplicate";
  return stored !== undefined && Date.parse(report.takenAt) < stored.takenAt ? "older" : undefined;
}

function withSignOfLife(device: Device, { report, receivedAt }: Received): Device {
  if (report !== undefined) {
    const { platform, hostname } = report;
    return { ...device, platform, hostname, lastSeenAt: receivedAt, reportedAt: receivedAt };
  }
  return receivedAt - (device.lastSeenAt ?? 0) < SEEN_MS ? device : { ...device, lastSeenAt: receivedAt };
}
