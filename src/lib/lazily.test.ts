import { expect, test } from "vitest";
import { lazily } from "./lazily.ts";

test("loads nothing before the first use, and once for all who use it", async () => {
  let loads = 0;
  const part = lazily(async () => ({ load: (loads += 1) }));
  expect(loads).toBe(0);
  const [first, second] = await Promise.all([part(), part()]);
  expect(await part()).toBe(first);
  expect(second).toBe(first);
  expect(loads).toBe(1);
});

test("tries again after a load that failed", async () => {
  let loads = 0;
  const part = lazily(async () => {
    loads += 1;
    if (loads === 1) throw new Error("too many open files");
    return "part";
  });
  await expect(part()).rejects.toThrow("too many open files");
  expect(await part()).toBe("part");
});
