import { calculate, toLong } from "./long.ts";
import { failure, type Failure, type Instant, type Long } from "./value.ts";

const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{3}))?(?:Z|([+-])(\d{2})(\d{2})))?$/;
const DURATION = /^-?(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?$/;
const UNIT_MS: Readonly<Record<string, bigint>> = { d: 86_400_000n, h: 3_600_000n, m: 60_000n, s: 1_000n, ms: 1n };
const DAY_MS = 86_400_000n;

/** Cedar's `datetime("…")` (RFC 80): a date, or a date and time with `Z` or an offset. */
export function parseDatetime(text: string): Instant | Failure {
  const match = DATE.exec(text);
  const ms = match === null ? undefined : toEpochMs(match.slice(1, 8).map(toNumber));
  const offsetMs = match === null ? undefined : toOffsetMs(toNumber(match[9]), toNumber(match[10]));
  if (ms === undefined || offsetMs === undefined) return failure(`\`${text}\` is no datetime`);
  return { kind: "datetime", ms: match?.[8] === "-" ? ms + offsetMs : ms - offsetMs };
}

function toEpochMs([year = 0, month = 0, day = 0, ...time]: readonly number[]): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const sinceMidnight = toMsOfDay(time);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return sinceMidnight === undefined ? undefined : date.getTime() + sinceMidnight;
}

function toMsOfDay([hour = 0, minute = 0, second = 0, milli = 0]: readonly number[]): number | undefined {
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  return ((hour * 60 + minute) * 60 + second) * 1000 + milli;
}

function toOffsetMs(hours: number, minutes: number): number | undefined {
  return hours > 23 || minutes > 59 ? undefined : (hours * 60 + minutes) * 60_000;
}

/** Cedar's `duration("…")`: `1d2h3m4s5ms`, each unit at most once and in this order, the whole negated by `-`. */
export function parseDuration(text: string): Instant | Failure {
  if (!DURATION.test(text) || !/\d/.test(text)) return failure(`\`${text}\` is no duration`);
  const units = [...text.matchAll(/(\d+)(ms|[dhms])/g)];
  const total = units.reduce((sum, [, count = "0", unit = "ms"]) => sum + BigInt(count) * (UNIT_MS[unit] ?? 0n), 0n);
  const ms = toLong(text.startsWith("-") ? -total : total);
  return typeof ms === "object" ? ms : { kind: "duration", ms };
}

export function offset(time: Instant, span: Instant): Instant | Failure {
  return instantOf("datetime", calculate("add", time.ms, span.ms));
}

export function durationSince(later: Instant, earlier: Instant): Instant | Failure {
  return instantOf("duration", calculate("subtract", later.ms, earlier.ms));
}

export function toDate(time: Instant): Instant | Failure {
  return instantOf("datetime", toLong(BigInt(time.ms) - msIntoDay(time)));
}

export function toTime(time: Instant): Instant | Failure {
  return instantOf("duration", toLong(msIntoDay(time)));
}

/** Whole units of a span, rounded towards zero. */
export function toUnits(span: Instant, unitMs: bigint): Long | Failure {
  return toLong(BigInt(span.ms) / unitMs);
}

function msIntoDay(time: Instant): bigint {
  const rest = BigInt(time.ms) % DAY_MS;
  return rest < 0n ? rest + DAY_MS : rest;
}

function instantOf(kind: Instant["kind"], ms: Long | Failure): Instant | Failure {
  return typeof ms === "object" ? ms : { kind, ms };
}

function toNumber(digits: string | undefined): number {
  return Number(digits ?? 0);
}
