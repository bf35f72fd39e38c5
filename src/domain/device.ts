export const DEVICE_PLATFORMS = ["darwin", "linux", "win32"] as const;
export type DevicePlatform = (typeof DEVICE_PLATFORMS)[number];

/** A machine that reports what it sees with a key of its own. */
export interface Device {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  /** The device key that reports for it. */
  readonly keyId: string;
  /** As the device itself says; null before its first report. */
  readonly platform: DevicePlatform | null;
  readonly hostname: string | null;
  readonly lastSeenAt: number | null;
  /** When its last report came. */
  readonly reportedAt: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The newest report of a device, as it was accepted. */
export interface DeviceReport {
  readonly deviceId: string;
  readonly reportId: string;
  /** By the clock of this installation: when it came. */
  readonly receivedAt: number;
  /** By the clock of the device. */
  readonly takenAt: number;
  /** JSON, gzip, base64, as the device sent it. */
  readonly compressed: string;
}
