/** What policies read of a moment: `context.time` and `context.weekday`. */
export interface LocalTime {
  /** Minutes since midnight. */
  readonly minuteOfDay: number;
  /** The day's name in English lower case. */
  readonly weekday: string;
}

const MINUTE_MS = 60_000;
const formats = new Map<string, Intl.DateTimeFormat>();
let last: { readonly minute: number; readonly timeZone: string; readonly time: LocalTime } | undefined;

/** The moment in a time zone. Every message asks, mostly in the same minute, so the last answer is kept. Throws for an unknown zone. */
export function toLocalTime(nowMs: number, timeZone: string): LocalTime {
  const minute = Math.floor(nowMs / MINUTE_MS);
  if (last?.minute === minute && last.timeZone === timeZone) return last.time;
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(nowMs)
      .map(({ type, value }) => [type, value]),
  );
  const time = {
    minuteOfDay: Number(parts.get("hour")) * 60 + Number(parts.get("minute")),
    weekday: (parts.get("weekday") ?? "").toLowerCase(),
  };
  last = { minute, timeZone, time };
  return time;
}

/** Whether this is the IANA name of a zone that the runtime knows. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    weekday: "long",
    hour: "2-digit",
    minute: "2-digit",
  });
  formats.set(timeZone, format);
  return format;
}
