import { expect, test } from "vitest";
import { killChangesRounds } from "./kill-changes.ts";

test("kill -9 during changes, 20 rounds: rows and events tell the same story, `seq` has no gap", async () => {
  const { answered, events } = await killChangesRounds(20);
  process.stdout.write(`20 rounds: ${answered} answered changes, ${events} events\n`);
  expect(answered).toBeGreaterThan(400);
  expect(events).toBeGreaterThanOrEqual(answered);
});
