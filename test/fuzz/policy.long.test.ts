import { expect, test } from "vitest";
import { fuzzPolicies } from "./policy-difference.ts";

test("agrees with the Cedar library on 100 000 drawn cases", () => {
  const report = fuzzPolicies(7, 100_000);
  expect(report.difference).toBeUndefined();
  expect(report.cases).toBeGreaterThanOrEqual(100_000);
  expect(report.failed).toBeGreaterThan(10_000);
});
