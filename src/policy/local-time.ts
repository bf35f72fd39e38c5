/** What conditions on time see: minutes since midnight and the day's name, in the organization's time zone. */
export interface LocalTime {
  readonly minuteOfDay: number;
  readonly weekday: string;
}

/**
 * Makes the conversion for one IANA time zone; keep it, making one is slow. Throws a `RangeError` for a zone that does not
 * exist.
 */
export function createLocalTime(timeZone: string): (nowMs: number) => LocalTime {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    weekday: "long",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  return (nowMs) => {
    const parts = new Map(format.formatToParts(nowMs).map(({ type, value }) => [type, value]));
    const minuteOfDay = Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
    return { minuteOfDay, weekday: (parts.get("weekday") ?? "").toLowerCase() };
  };
}
