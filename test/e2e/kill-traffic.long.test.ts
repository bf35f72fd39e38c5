import { expect, test } from "vitest";
import { killTrafficRounds } from "./kill-traffic.ts";

test("kill -9 under load, 20 rounds: every answered call has its one event, `seq` has no gap, no child is left", async () => {
  const { answered, events, cut } = await killTrafficRounds(20);
  process.stdout.write(`20 rounds: ${answered} answered calls, ${events} events, ${cut} calls cut\n`);
  expect(answered).toBeGreaterThan(1_000);
  expect(cut).toBeGreaterThan(0);
});
