import { expect, test } from "vitest";
import type { ScanCoverage } from "../../domain/scan.ts";
import { shortenCoverage } from "./shorten-coverage.ts";

const entry = (status: ScanCoverage["status"], place: number): ScanCoverage => ({
  target: "devices",
  place: `d${place}`,
  status,
});

test("of ten thousand devices the few that did not answer are named first, and what is left out is counted", () => {
  const coverage = Array.from({ length: 10_000 }, (_item, index) => entry(index > 9_996 ? "skipped" : "read", index));
  const short = shortenCoverage(coverage);
  expect(short.slice(0, 4).map(({ place }) => place)).toEqual(["d9997", "d9998", "d9999", "d0"]);
  expect(short).toHaveLength(3 + 200 + 1);
  expect(short.at(-1)).toMatchObject({ place: "9797 more", status: "read" });
});

test("more gaps than are listed stay gaps", () => {
  const short = shortenCoverage(Array.from({ length: 2_001 }, (_item, index) => entry("partial", index)));
  expect(short.at(-1)).toEqual({ target: "devices", place: "1 more", status: "partial", reason: "not listed" });
  expect(shortenCoverage([entry("read", 1)])).toEqual([entry("read", 1)]);
});
