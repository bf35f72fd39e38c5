import { expect, test } from "vitest";
import { killChangesRounds } from "./kill-changes.ts";

test(
  "kill -9 during changes leaves no half change, no event without its row and no row without its event",
  { timeout: 180_000 },
  async () => {
    const { answered, events } = await killChangesRounds(3);
    expect(answered).toBeGreaterThan(60);
    expect(events).toBeGreaterThanOrEqual(answered);
  },
);
