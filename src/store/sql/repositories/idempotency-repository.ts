import { z } from "zod";
import type { IdempotencyRepository, IdempotentAnswer } from "../../ports.ts";
import type { RepositoryContext } from "./context.ts";
import { jsonText } from "./json-text.ts";
import { taken } from "./refusals.ts";

const storedAnswer = z.object({
  callerId: z.string(),
  key: z.string(),
  operation: z.string(),
  inputHash: z.string(),
  answer: jsonText(z.unknown()),
  expiresAt: z.number(),
});

export class SqlIdempotencyRepository implements IdempotencyRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async find(callerId: string, key: string, now: number): Promise<IdempotentAnswer | undefined> {
    const row = await this.#context.db
      .selectFrom("idempotency")
      .selectAll()
      .where("callerId", "=", callerId)
      .where("key", "=", key)
      .where("expiresAt", ">", now)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { answer, ...rest } = storedAnswer.parse(row);
    return { ...rest, answer };
  }

  async insert(answer: IdempotentAnswer, now: number): Promise<void> {
    const { db } = this.#context;
    await db.deleteFrom("idempotency").where("expiresAt", "<=", now).execute();
    const existing = await this.find(answer.callerId, answer.key, now);
    if (existing !== undefined)
      throw taken({ singular: "idempotency key", listedBy: "" }, "idempotencyKey", answer.key);
    await db
      .insertInto("idempotency")
      .values({ ...answer, answer: JSON.stringify(answer.answer ?? null) })
      .execute();
  }

  async replaceAnswer(callerId: string, key: string, answer: unknown): Promise<void> {
    await this.#context.db
      .updateTable("idempotency")
      .set({ answer: JSON.stringify(answer ?? null) })
      .where("callerId", "=", callerId)
      .where("key", "=", key)
      .execute();
  }
}
