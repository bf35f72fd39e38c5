import { expect, test } from "vitest";
import { provesCrashSafety } from "../../test/harness/audit-crash.ts";
import { startPostgres } from "../../test/harness/postgres.ts";

test("what was acknowledged in 20 lives that each ended by kill -9 is one event each", async () => {
  await expect(provesCrashSafety(20)).resolves.toBeUndefined();
});

test("the same on PostgreSQL", async () => {
  const postgres = await startPostgres();
  try {
    await expect(provesCrashSafety(20, await postgres.createDatabase())).resolves.toBeUndefined();
  } finally {
    await postgres.stop();
  }
});
