import { z } from "zod";
import type { Device } from "../../domain/device.ts";
import { NEVER_USED } from "../../domain/key-use.ts";
import { createdBy } from "../created-by.ts";
import { defineOperation } from "../define-operation.ts";
import { NameField, text } from "../fields.ts";
import { DeviceOutput, showDevice } from "./device-output.ts";

/** Makes a device and the key that reports for it. */
export const enrollDevice = defineOperation({
  name: "enroll_device",
  title: "Enroll device",
  description:
    "Makes a device and its key, with which `runlayer device report` sends what the device holds. The key is in `key`, shown only in this answer; it can do nothing but report. Revoke it with revoke_api_key to end the device.",
  route: "POST /devices",
  command: "devices enroll",
  roles: ["owner", "admin", "security", "scanner"],
  effect: "write",
  isCreation: true,
  secrets: ["key"],
  action: "device.enroll",
  input: z.object({
    name: NameField.describe("Unique name"),
    description: text(2000).optional().describe("Whose it is, what it is for"),
  }),
  output: z.object({ device: DeviceOutput, key: z.string().optional().describe("The device key; shown only here") }),
  async handle({ name, description = null }, context) {
    const { repositories, services, caller, now } = context;
    const { secret, hash, hint } = services.keys.create("device");
    const [id, keyId] = [services.newId(), services.newId()];
    const device: Device = {
      id,
      name,
      description,
      keyId,
      platform: null,
      hostname: null,
      lastSeenAt: null,
      reportedAt: null,
      version: 1,
      createdAt: now,
      updatedAt: now,
    };
    await repositories.devices.insert(device);
    // The random tail of a UUIDv7 keeps the name unique; people find the key by its device.
    const keyName = `device-${keyId.slice(-12)}`;
    await repositories.apiKeys.insert({
      id: keyId,
      name: keyName,
      kind: "device",
      origin: "operation",
      hash,
      hint,
      description: name,
      role: null,
      agentId: null,
      memberId: null,
      allowedIps: [],
      createdBy: createdBy(caller),
      createdAt: now,
      expiresAt: null,
      revoked: null,
      ...NEVER_USED,
      version: 1,
    });
    await context.record("key.create", {
      resource: { type: "apiKey", id: keyId, name: keyName },
      details: { kind: "device", device: { id, name } },
    });
    return { device: showDevice(device, context, hint), key: secret };
  },
  event: ({ device }) => ({
    resource: { type: "device", id: device.id, name: device.name },
    details: { key: device.key?.id ?? null },
  }),
  summarize: ({ device }) => `Device \`${device.name}\` (${device.id}) is enrolled; its key is shown once, in \`key\`.`,
});
