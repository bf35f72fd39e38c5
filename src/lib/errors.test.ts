import { expect, test } from "vitest";
import { AppError, toAppError } from "./errors.ts";

test("of what failed while things were closed, tells what failed first", async () => {
  const first = new AppError("unavailable", "the database cannot serve at the moment");
  const stack = new AsyncDisposableStack();
  for (const error of [new Error("last"), new Error("then"), first]) stack.defer(() => Promise.reject(error));
  const failure = await stack.disposeAsync().catch(toAppError);
  expect(failure).toBe(first);
});
