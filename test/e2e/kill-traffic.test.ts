import { expect, test } from "vitest";
import { killTrafficRounds } from "./kill-traffic.ts";

test(
  "kill -9 under load loses no event of an answered call and leaves no child behind",
  { timeout: 180_000 },
  async () => {
    const { answered, events, cut } = await killTrafficRounds(3);
    expect(answered).toBeGreaterThan(150);
    expect(events).toBeGreaterThan(answered);
    expect(cut).toBeGreaterThan(0);
  },
);
