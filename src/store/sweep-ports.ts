import type { Device, DeviceReport } from "../domain/device.ts";
import type { Finding, FindingChange, FindingKind, FindingStatus } from "../domain/finding.ts";
import type { Ref } from "../domain/names.ts";
import type { Scan } from "../domain/scan.ts";
import type { Severity } from "../domain/server.ts";
import type { Page, PageRequest } from "../lib/paging.ts";

export interface ScanRepository {
  get(id: string): Promise<Scan>;
  /** The newest; one that runs counts too. */
  latest(): Promise<Scan | undefined>;
  insert(scan: Scan): Promise<void>;
  /** Replaces what is stored of it. */
  save(scan: Scan): Promise<void>;
}

export interface FindingFilter {
  readonly kind?: FindingKind | undefined;
  readonly severity?: Severity | undefined;
  /** All but `resolved` unless told. */
  readonly status?: FindingStatus | undefined;
  /** Findings that this scan saw or resolved; with `change`, those of which it said that. */
  readonly scanId?: string | undefined;
  readonly change?: FindingChange | undefined;
  /** Name of a device among the instances. */
  readonly device?: string | undefined;
  /** Part of title, code, identity or evidence. */
  readonly query?: string | undefined;
  /** The time that decides whether a suppression still holds. */
  readonly now: number;
}

export interface FindingRepository {
  get(id: string): Promise<Finding>;
  /** Every finding that is not resolved, and those of these keys that are. */
  unresolvedOr(keys: readonly string[]): Promise<readonly Finding[]>;
  /** The worst first; the page key is opaque. */
  list(filter: FindingFilter, page: PageRequest): Promise<Page<Finding>>;
  /** Open ones. */
  countBySeverity(now: number): Promise<Readonly<Record<Severity, number>>>;
  /** Open ones of each of these servers. */
  countByServer(serverIds: readonly string[], now: number): Promise<ReadonlyMap<string, number>>;
  insert(finding: Finding): Promise<void>;
  /** Throws `conflict` unless the version is one above the stored one. */
  save(finding: Finding): Promise<void>;
  /** Stores what a scan observed. Observed, not managed: does not raise the version. */
  saveSeen(finding: Finding): Promise<void>;
  /** Remembers what a scan said; something new is reported as a change of the scan. */
  record(
    scanId: string,
    changes: readonly { readonly findingId: string; readonly change: FindingChange }[],
  ): Promise<void>;
}

export interface DeviceRepository {
  get(ref: Ref): Promise<Device>;
  find(ref: Ref): Promise<Device | undefined>;
  findByKey(keyId: string): Promise<Device | undefined>;
  list(query: string | undefined, page: PageRequest): Promise<Page<Device>>;
  insert(device: Device): Promise<void>;
  /** Stores that it was seen, and what it says of itself. Observed, not managed: does not raise the version. */
  saveSeen(device: Device): Promise<void>;
  report(deviceId: string): Promise<DeviceReport | undefined>;
  /** Replaces the report before it. */
  saveReport(report: DeviceReport): Promise<void>;
}
