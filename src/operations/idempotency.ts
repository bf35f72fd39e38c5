import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import type { Repositories } from "../store/ports.ts";
import type { Answer } from "./define-operation.ts";

const KEPT_MS = 24 * 60 * 60 * 1000;

const AnswerSchema = z.object({ output: z.record(z.string(), z.unknown()), summary: z.string() });

/** A creation that may be repeated: who, under which key, with which input. */
export interface RepeatableCall {
  readonly callerId: string;
  readonly key: string | undefined;
  readonly operation: string;
  readonly inputHash: string;
  readonly now: number;
}

/** The first answer to this call, without its secret. Throws `conflict` where the key was used for something else. */
export async function findFirstAnswer(repositories: Repositories, call: RepeatableCall): Promise<Answer | undefined> {
  if (call.key === undefined) return undefined;
  const found = await repositories.idempotency.find(call.callerId, call.key, call.now);
  if (found === undefined) return undefined;
  if (found.operation === call.operation && found.inputHash === call.inputHash) return AnswerSchema.parse(found.answer);
  throw new AppError("conflict", "`idempotencyKey` was used for another call within 24 h; use a new one", {
    details: { field: "idempotencyKey" },
  });
}

export async function rememberAnswer(repositories: Repositories, call: RepeatableCall, answer: Answer): Promise<void> {
  if (call.key === undefined) return;
  const { callerId, key, operation, inputHash, now } = call;
  await repositories.idempotency.insert({ callerId, key, operation, inputHash, answer, expiresAt: now + KEPT_MS }, now);
}

/** Keeps what the first answer became after its transaction. */
export async function replaceAnswer(repositories: Repositories, call: RepeatableCall, answer: Answer): Promise<void> {
  if (call.key === undefined) return;
  await repositories.idempotency.replaceAnswer(call.callerId, call.key, answer);
}
