const MONTHS = "January February March April May June July August September October November December".split(" ");

export default async function (input) {
  const date = new Date(input.date);
  if (Number.isNaN(date.getTime())) {
    throw Object.assign(new Error(`\`${input.date}\` is no date`), { code: "invalid_input" });
  }
  return { text: format(date, input.style ?? "iso") };
}

function format(date, style) {
  const iso = date.toISOString().slice(0, 10);
  if (style === "iso") return iso;
  const [year, month, day] = [date.getUTCFullYear(), MONTHS[date.getUTCMonth()], date.getUTCDate()];
  return style === "long" ? `${day} ${month} ${year}` : `${day} ${month.slice(0, 3)} ${year}`;
}
