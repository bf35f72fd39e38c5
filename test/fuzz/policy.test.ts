import { expect, test } from "vitest";
import { fuzzPolicies } from "./policy-difference.ts";
import { shrink } from "./shrink.ts";

test("decides, explains and fails as the Cedar library does, on 4 000 drawn cases", () => {
  const report = fuzzPolicies(20_261_122, 4_000);
  expect(report.difference).toBeUndefined();
  expect(report.satisfied).toBeGreaterThan(800);
  expect(report.failed).toBeGreaterThan(800);
});

test("shrinks a failing tree to the part that fails", () => {
  const tree = { "&&": { left: { "==": { left: 1, right: 2 } }, right: { "!": { arg: "bad" } } } };
  expect(shrink(tree, (candidate) => JSON.stringify(candidate).includes("bad"))).toBe("bad");
});
