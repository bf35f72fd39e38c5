import type { Device, DeviceReport } from "../../../domain/device.ts";
import type { Ref } from "../../../domain/names.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { DeviceKey, DeviceRepository, DeviceSeen } from "../../sweep-ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText } from "./matching.ts";
import { pageById } from "./pages.ts";
import { type Noun, notFound } from "../../../domain/not-found.ts";
import { taken } from "./refusals.ts";
import { toDevice, toDeviceRow, toStoredHostname } from "./stored-sweep.ts";

const NOUN: Noun = { singular: "device", listedBy: "list_devices" };
/** Far below SQLite's 32 766 parameters. */
const IDS_PER_STATEMENT = 500;

export class SqlDeviceRepository implements DeviceRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<Device> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(NOUN, ref);
    return found;
  }

  find(ref: Ref): Promise<Device | undefined> {
    return isUuid(ref) ? this.#findBy("id", ref.toLowerCase()) : this.#findBy("name", ref);
  }

  findByKey(keyId: string): Promise<Device | undefined> {
    return this.#findBy("keyId", keyId);
  }

  async list(query: string | undefined, page: PageRequest): Promise<Page<Device>> {
    const devices = this.#matching(query).selectAll();
    return pageById(page, { db: this.#context.db, query: devices, toItems: (rows) => rows.map(toDevice) });
  }

  keys(): Promise<DeviceKey[]> {
    return this.#context.db.selectFrom("devices").select(["id", "name", "keyId"]).orderBy("id").execute();
  }

  async insert(device: Device): Promise<void> {
    await this.#assertFree(device);
    await this.#context.db.insertInto("devices").values(toDeviceRow(device)).execute();
  }

  async saveSeen({ id, lastSeenAt, platform, reportedAt, hostname }: DeviceSeen): Promise<void> {
    await this.#context.db
      .updateTable("devices")
      .set({
        lastSeenAt,
        platform,
        reportedAt,
        hostname: hostname === undefined ? undefined : toStoredHostname(hostname),
      })
      .where("id", "=", id)
      .execute();
  }

  async owingReport(askedAt: number, seenSince: number): Promise<readonly string[]> {
    const rows = await this.#context.db
      .selectFrom("devices")
      .select("id")
      .where("lastSeenAt", ">", seenSince)
      .where((eb) => eb.or([eb("reportedAt", "is", null), eb("reportedAt", "<", askedAt)]))
      .where((eb) => eb.or([eb("reportedAt", "is", null), eb("lastSeenAt", ">=", eb.ref("reportedAt"))]))
      .execute();
    return rows.map(({ id }) => id);
  }

  async withReports(
    ids: readonly string[],
  ): Promise<readonly { readonly device: Device; readonly report?: DeviceReport }[]> {
    const { db } = this.#context;
    if (ids.length === 0) return [];
    const devices = await db.selectFrom("devices").selectAll().where("id", "in", ids).orderBy("id").execute();
    const reports = await db.selectFrom("deviceReports").selectAll().where("deviceId", "in", ids).execute();
    const byDevice = new Map(reports.map((report) => [report.deviceId, report]));
    return devices.map((row) => {
      const report = byDevice.get(row.id);
      return { device: toDevice(row), ...(report === undefined ? {} : { report }) };
    });
  }

  async saveReport(report: DeviceReport): Promise<"taken" | "duplicate" | "older"> {
    const { numInsertedOrUpdatedRows } = await this.#context.db
      .insertInto("deviceReports")
      .values(report)
      .onConflict((conflict) =>
        conflict
          .column("deviceId")
          .doUpdateSet(report)
          .where("deviceReports.reportId", "!=", report.reportId)
          .where("deviceReports.takenAt", "<=", report.takenAt),
      )
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 1n) return "taken";
    const stored = await this.#context.db
      .selectFrom("deviceReports")
      .select("reportId")
      .where("deviceId", "=", report.deviceId)
      .executeTakeFirst();
    return stored?.reportId === report.reportId ? "duplicate" : "older";
  }

  async dropReports(receivedBefore: number, limit: number): Promise<number> {
    const { db } = this.#context;
    const old = db.selectFrom("deviceReports").select("deviceId").where("receivedAt", "<", receivedBefore).limit(limit);
    const { numDeletedRows } = await db
      .deleteFrom("deviceReports")
      .where("deviceId", "in", old)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }

  async dropReportsOf(ids: readonly string[]): Promise<readonly string[]> {
    const dropped: string[] = [];
    for (let from = 0; from < ids.length; from += IDS_PER_STATEMENT) {
      const rows = await this.#context.db
        .deleteFrom("deviceReports")
        .where("deviceId", "in", ids.slice(from, from + IDS_PER_STATEMENT))
        .returning("deviceId")
        .execute();
      dropped.push(...rows.map(({ deviceId }) => deviceId));
    }
    return dropped;
  }

  async #findBy(column: "id" | "name" | "keyId", value: string): Promise<Device | undefined> {
    const row = await this.#context.db.selectFrom("devices").selectAll().where(column, "=", value).executeTakeFirst();
    return row === undefined ? undefined : toDevice(row);
  }

  async #assertFree({ id, name }: Device): Promise<void> {
    const named = await this.#findBy("name", name);
    if (named !== undefined && named.id !== id) throw taken(NOUN, "name", name);
  }

  #matching(query: string | undefined) {
    const devices = this.#context.db.selectFrom("devices");
    if (query === undefined) return devices;
    return devices.where((eb) => containsText([eb.ref("name"), eb.ref("description"), eb.ref("hostname")], query));
  }
}
