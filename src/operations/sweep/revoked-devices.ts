import { keyStatus } from "../../domain/api-key.ts";
import type { Device } from "../../domain/device.ts";
import type { ScanCoverage } from "../../domain/scan.ts";
import { AppError } from "../../lib/errors.ts";
import type { Repositories } from "../../store/ports.ts";
import type { DeviceKey } from "../../store/sweep-ports.ts";
import type { Services } from "../services.ts";
import { deviceOfPlace } from "./place.ts";

interface AsOf {
  readonly services: Pick<Services, "snapshot">;
  readonly now: number;
}

/** A device is ended with its key: nothing of it counts any more, and nobody reports for it. */
export function isRevoked({ keyId }: Pick<Device, "keyId">, { services, now }: AsOf): boolean {
  const key = services.snapshot().keyById.get(keyId);
  return key === undefined || keyStatus(key, now) !== "active";
}

/** Whoever asked for it gets no empty answer that looks like good news. */
export function revokedDevice({ name }: Pick<Device, "name">): AppError {
  return new AppError("conflict", `device \`${name}\` is revoked; enroll the machine anew, under another name`);
}

/** What a scan has to know of devices that were revoked before it. */
export interface RevokedDevices {
  /** Whether a place was on one of them: what was seen there is over. */
  readonly hadPlace: (place: string) => boolean;
  /** Of those that are ended with this scan. */
  readonly coverage: readonly ScanCoverage[];
}

/** Forgets what revoked devices reported last. */
export async function endRevokedDevices(
  { devices }: Pick<Repositories, "devices">,
  asOf: AsOf,
): Promise<RevokedDevices> {
  const revoked = (await devices.keys()).filter((device) => isRevoked(device, asOf));
  const ids = new Set(revoked.map(({ id }) => id));
  const ended = new Set(await devices.dropReportsOf([...ids]));
  return {
    hadPlace: (place) => ids.has(deviceOfPlace(place) ?? ""),
    coverage: revoked.filter(({ id }) => ended.has(id)).map(toLine),
  };
}

function toLine({ name }: DeviceKey): ScanCoverage {
  const reason = "was revoked: its last report is dropped, and what was seen only there is resolved";
  return { target: "devices", place: name, status: "read", reason };
}
