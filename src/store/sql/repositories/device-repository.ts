import type { Device, DeviceReport } from "../../../domain/device.ts";
import type { Ref } from "../../../domain/names.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { DeviceRepository } from "../../sweep-ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText } from "./matching.ts";
import { countUpTo, toPage } from "./pages.ts";
import { type Noun, notFound, taken } from "./refusals.ts";
import { toDevice, toDeviceReport, toDeviceRow } from "./stored-sweep.ts";

const NOUN: Noun = { singular: "device", listedBy: "list_devices" };

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
    let devices = this.#matching(query).selectAll();
    if (page.after !== undefined) devices = devices.where("id", ">", page.after);
    const rows = await devices
      .orderBy("id")
      .limit(page.limit + 1)
      .execute();
    return toPage(page, {
      items: rows.map(toDevice),
      count: await countUpTo(this.#context.db, this.#matching(query)),
      keyOf: ({ id }) => id,
    });
  }

  async insert(device: Device): Promise<void> {
    await this.#assertFree(device);
    await this.#context.db.insertInto("devices").values(toDeviceRow(device)).execute();
  }

  async saveSeen(device: Device): Promise<void> {
    await this.#context.db.updateTable("devices").set(toDeviceRow(device)).where("id", "=", device.id).execute();
  }

  async report(deviceId: string): Promise<DeviceReport | undefined> {
    const reports = this.#context.db.selectFrom("deviceReports").selectAll().where("deviceId", "=", deviceId);
    const row = await reports.executeTakeFirst();
    return row === undefined ? undefined : toDeviceReport(row);
  }

  async saveReport(report: DeviceReport): Promise<void> {
    await this.#context.db
      .insertInto("deviceReports")
      .values(report)
      .onConflict((conflict) => conflict.column("deviceId").doUpdateSet(report))
      .execute();
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
