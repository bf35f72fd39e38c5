import { AppError } from "../../../lib/errors.ts";
import type { Scan } from "../../../domain/scan.ts";
import type { ScanRepository } from "../../sweep-ports.ts";
import type { RepositoryContext } from "./context.ts";
import { toScan, toScanRow } from "./stored-sweep.ts";

export class SqlScanRepository implements ScanRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(id: string): Promise<Scan> {
    const row = await this.#context.db.selectFrom("scans").select("body").where("id", "=", id).executeTakeFirst();
    if (row !== undefined) return toScan(row);
    throw new AppError("not_found", `scan \`${id}\` does not exist; run_mcp_sweep_scan starts one`, {
      details: { kind: "scan", ref: id },
    });
  }

  async latest(): Promise<Scan | undefined> {
    const [scan] = await this.#newest(1);
    return scan;
  }

  async latestWithResults(): Promise<Scan | undefined> {
    return (await this.#newest(20)).find(({ summary }) => summary !== null);
  }

  async #newest(limit: number): Promise<readonly Scan[]> {
    const rows = await this.#context.db.selectFrom("scans").select("body").orderBy("id", "desc").limit(limit).execute();
    return rows.map(toScan);
  }

  async insert(scan: Scan): Promise<void> {
    await this.#context.db.insertInto("scans").values(toScanRow(scan)).execute();
  }

  async save(scan: Scan): Promise<void> {
    await this.#context.db.updateTable("scans").set(toScanRow(scan)).where("id", "=", scan.id).execute();
  }

  async dropOldest(keep: number, limit: number): Promise<number> {
    const oldest = this.#context.db
      .selectFrom("scans")
      .select("id")
      .where("id", "not in", (eb) => eb.selectFrom("scans").select("id").orderBy("id", "desc").limit(keep))
      .orderBy("id")
      .limit(limit);
    const { numDeletedRows } = await this.#context.db
      .deleteFrom("scans")
      .where("id", "in", oldest)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }
}
