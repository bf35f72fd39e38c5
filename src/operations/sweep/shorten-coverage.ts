import type { ScanCoverage } from "../../domain/scan.ts";

/** Thousands of unreadable files say no more than these. */
const GAPS_LISTED = 2000;
/** Of ten thousand devices that were read, whoever reads the results need not see each. */
const READ_LISTED = 200;

/** What a scan keeps of its coverage. What was not read comes first: it must not be lost behind what was. */
export function shortenCoverage(coverage: readonly ScanCoverage[]): ScanCoverage[] {
  const { gaps = [], read = [] } = Object.groupBy(coverage, ({ status }) => (status === "read" ? "read" : "gaps"));
  return [...firstOf(gaps, GAPS_LISTED), ...firstOf(read, READ_LISTED)];
}

function firstOf(entries: readonly ScanCoverage[], limit: number): ScanCoverage[] {
  const [first] = entries.slice(limit);
  if (first === undefined) return [...entries];
  const { target, status } = first;
  const more = { target, place: `${entries.length - limit} more`, status, reason: "not listed" };
  return [...entries.slice(0, limit), more];
}
