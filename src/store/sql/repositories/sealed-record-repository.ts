import type { SealedRecordRepository } from "../../ports.ts";
import type { RepositoryContext } from "./context.ts";

/** Sealed values of the installation itself carry this prefix in their name. */
const SEALED_VALUES = "sealed.%";

export class SqlSealedRecordRepository implements SealedRecordRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async rewrap(rewrap: (sealed: string) => string): Promise<number> {
    const { db, touch } = this.#context;
    const servers = await db.selectFrom("servers").select(["id", "sealedSecrets"]).execute();
    for (const { id, sealedSecrets } of servers) {
      await db
        .updateTable("servers")
        .set({ sealedSecrets: rewrap(sealedSecrets) })
        .where("id", "=", id)
        .execute();
      touch({ kind: "server", id });
    }
    const values = await db.selectFrom("installationValues").selectAll().where("name", "like", SEALED_VALUES).execute();
    for (const { name, value } of values) {
      await db
        .updateTable("installationValues")
        .set({ value: rewrap(value) })
        .where("name", "=", name)
        .execute();
    }
    return servers.length + values.length;
  }
}
