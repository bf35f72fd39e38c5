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
  /** The newest that has results; undefined also where the newest 20 have none. */
  latestWithResults(): Promise<Scan | undefined>;
  insert(scan: Scan): Promise<void>;
  /** Replaces what is stored of it. */
  save(scan: Scan): Promise<void>;
  /** Drops the oldest beyond the newest `keep`, at most `limit` of them, with what they said. Gives how many. */
  dropOldest(keep: number, limit: number): Promise<number>;
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
  /** Keys of all that are not resolved. */
  unresolvedKeys(): Promise<readonly string[]>;
  /** Those of these keys that are stored, resolved ones too. */
  findByKeys(keys: readonly string[]): Promise<readonly Finding[]>;
  /** The worst first; the page key is opaque. */
  list(filter: FindingFilter, page: PageRequest): Promise<Page<Finding>>;
  /** Open ones. */
  countBySeverity(now: number): Promise<Readonly<Record<Severity, number>>>;
  /** Open ones of each of these servers. */
  countByServer(serverIds: readonly string[], now: number): Promise<ReadonlyMap<string, number>>;
  insert(findings: readonly Finding[]): Promise<void>;
  /** Throws `conflict` unless the version is one above the stored one. */
  save(finding: Finding): Promise<void>;
  /** Stores what a scan observed. Observed, not managed: does not raise the version. */
  saveSeen(finding: Finding): Promise<void>;
  /** Stores that a scan saw these again, and nothing else of them. */
  saveLastSeen(ids: readonly string[], at: number): Promise<void>;
  /** Remembers what a scan said; something new is reported as a change of the scan. */
  record(
    scanId: string,
    changes: readonly { readonly findingId: string; readonly change: FindingChange }[],
  ): Promise<void>;
  /** Drops at most so many resolved findings that no scan mentions any more. Gives how many. */
  dropForgotten(limit: number): Promise<number>;
}

/** What is observed of a device; what is undefined stays as it was. */
export type DeviceSeen = Pick<Device, "id" | "lastSeenAt"> &
  Partial<Pick<Device, "platform" | "hostname" | "reportedAt">>;

export type DeviceKey = Pick<Device, "id" | "name" | "keyId">;

export interface DeviceRepository {
  get(ref: Ref): Promise<Device>;
  find(ref: Ref): Promise<Device | undefined>;
  findByKey(keyId: string): Promise<Device | undefined>;
  list(query: string | undefined, page: PageRequest): Promise<Page<Device>>;
  /** All devices, in the order of their ids. */
  keys(): Promise<readonly DeviceKey[]>;
  insert(device: Device): Promise<void>;
  /** Stores that it was seen, and what it says of itself. Observed, not managed: does not raise the version. */
  saveSeen(seen: DeviceSeen): Promise<void>;
  /** Ids of those that were seen since `seenSince`, not before their last report, and have not reported since `askedAt`. */
  owingReport(askedAt: number, seenSince: number): Promise<readonly string[]>;
  /** These devices, in the order of their ids, each with its report if it has one. */
  withReports(ids: readonly string[]): Promise<readonly { readonly device: Device; readonly report?: DeviceReport }[]>;
  /** Replaces the report before it, unless that is the same one or was taken later: then nothing changes. */
  saveReport(report: DeviceReport): Promise<"taken" | "duplicate" | "older">;
  /** Drops at most `limit` reports that came before a time. Gives how many. */
  dropReports(receivedBefore: number, limit: number): Promise<number>;
  /** Drops the reports of these devices. Gives the ids of those that had one. */
  dropReportsOf(ids: readonly string[]): Promise<readonly string[]>;
}
