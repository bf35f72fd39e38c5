import type { SchemaStep } from "./migrations.ts";

/** Text that holds JSON. */
type JsonText = string;

export interface ScanTable {
  readonly id: string;
  readonly body: JsonText;
}

export interface FindingTable {
  readonly id: string;
  readonly key: string;
  readonly kind: string;
  /** 0 is critical, so that the worst come first in the order of the index. */
  readonly severityRank: number;
  readonly status: string;
  readonly suppressedUntil: number | null;
  readonly serverId: string | null;
  readonly searchText: string;
  /** Names of devices, each between line ends. */
  readonly deviceNames: string;
  readonly version: number;
  /** A column of its own: most of what a scan sees was there before, and only this is written then. */
  readonly lastSeenAt: number;
  /** All but `lastSeenAt`. */
  readonly body: JsonText;
}

export interface ScanFindingTable {
  readonly scanId: string;
  readonly findingId: string;
  readonly change: string;
}

export interface DeviceTable {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly keyId: string;
  readonly platform: string | null;
  readonly hostname: string | null;
  readonly lastSeenAt: number | null;
  readonly reportedAt: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface DeviceReportTable {
  readonly deviceId: string;
  readonly reportId: string;
  readonly receivedAt: number;
  readonly takenAt: number;
  /** gzip, base64 */
  readonly compressed: string;
}

export interface SweepTables {
  readonly scans: ScanTable;
  readonly findings: FindingTable;
  readonly scanFindings: ScanFindingTable;
  readonly devices: DeviceTable;
  readonly deviceReports: DeviceReportTable;
}

/** Migration: scans, findings, devices and their newest reports. */
export async function createSweepTables(step: SchemaStep): Promise<void> {
  await createScans(step);
  await createDevices(step);
}

async function createScans({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("scans")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("body", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("findings")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("key", "text", (column) => column.notNull().unique())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("severityRank", "integer", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("suppressedUntil", "bigint")
    .addColumn("serverId", "text")
    .addColumn("searchText", "text", (column) => column.notNull())
    .addColumn("deviceNames", "text", (column) => column.notNull())
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("findingsWorst").on("findings").columns(["severityRank", "id"]).execute();
  await db.schema
    .createTable("scanFindings")
    .addColumn("scanId", "text", (column) => column.notNull().references("scans.id").onDelete("cascade"))
    .addColumn("findingId", "text", (column) => column.notNull().references("findings.id").onDelete("cascade"))
    .addColumn("change", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("scan_findings_pk", ["scanId", "findingId"])
    .execute();
}

async function createDevices({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("devices")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("description", "text")
    .addColumn("keyId", "text", (column) => column.notNull().unique())
    .addColumn("platform", "text")
    .addColumn("hostname", "text")
    .addColumn("lastSeenAt", "bigint")
    .addColumn("reportedAt", "bigint")
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addColumn("updatedAt", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("deviceReports")
    .addColumn("deviceId", "text", (column) => column.primaryKey().references("devices.id").onDelete("cascade"))
    .addColumn("reportId", "text", (column) => column.notNull())
    .addColumn("receivedAt", "bigint", (column) => column.notNull())
    .addColumn("takenAt", "bigint", (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .execute();
}
