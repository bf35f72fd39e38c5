import type { ValueRepository } from "../../ports.ts";
import type { RepositoryContext } from "./context.ts";

export class SqlValueRepository implements ValueRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async find(name: string): Promise<string | undefined> {
    const row = await this.#context.db
      .selectFrom("installationValues")
      .select("value")
      .where("name", "=", name)
      .executeTakeFirst();
    return row?.value;
  }

  async set(name: string, value: string): Promise<void> {
    await this.#context.db
      .insertInto("installationValues")
      .values({ name, value })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
      .execute();
  }
}
