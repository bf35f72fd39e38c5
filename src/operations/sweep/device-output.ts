import { z } from "zod";
import { type Device, DEVICE_PLATFORMS } from "../../domain/device.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { HandleContext } from "../context.ts";
import { isRevoked } from "./revoked-devices.ts";

export const DeviceOutput = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  status: z
    .enum(["active", "silent", "never_seen", "revoked"])
    .describe("`silent`: not seen for a day; `revoked`: its key no longer counts, and nothing that it reported"),
  platform: z.enum(DEVICE_PLATFORMS).optional().describe("As the device says"),
  hostname: z.string().optional().describe("As the device says"),
  key: z.object({ id: z.string(), hint: z.string() }).optional(),
  lastSeenAt: z.string().nullable(),
  reportedAt: z.string().nullable().describe("When its last report came"),
  version: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

const SILENT_MS = 24 * 60 * 60 * 1000;

export function showDevice(
  device: Device,
  { services, now }: Pick<HandleContext, "services" | "now">,
  hint?: string,
): z.output<typeof DeviceOutput> {
  const { id, name, description, platform, hostname, lastSeenAt, reportedAt, version } = device;
  const shownHint = hint ?? services.snapshot().keyById.get(device.keyId)?.hint;
  return {
    id,
    name,
    description,
    status: hint === undefined ? statusOf(device, { services, now }) : "never_seen",
    ...(platform === null ? {} : { platform }),
    ...(hostname === null ? {} : { hostname }),
    ...(shownHint === undefined ? {} : { key: { id: device.keyId, hint: shownHint } }),
    lastSeenAt: lastSeenAt === null ? null : toRfc3339(lastSeenAt),
    reportedAt: reportedAt === null ? null : toRfc3339(reportedAt),
    version,
    createdAt: toRfc3339(device.createdAt),
    updatedAt: toRfc3339(device.updatedAt),
  };
}

function statusOf(
  { keyId, lastSeenAt }: Device,
  { services, now }: Pick<HandleContext, "services" | "now">,
): z.output<typeof DeviceOutput>["status"] {
  if (isRevoked({ keyId }, { services, now })) return "revoked";
  if (lastSeenAt === null) return "never_seen";
  return now - lastSeenAt > SILENT_MS ? "silent" : "active";
}
