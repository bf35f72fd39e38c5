import { readFileSync } from "node:fs";
import { analyzeText, type TextSurface } from "../src/guard/analyze-text.ts";

/**
 * Measures text detection on labelled samples: `node bench/detection.ts <file.jsonl> [--errors]`. A line holds `label`
 * (`benign` or `malicious`), `kind`, and `text` or `tool {name, description, arguments}`.
 */
const [path = "", option] = process.argv.slice(2);
const tally = new Map<string, { flagged: number; total: number }>();
for (const line of readFileSync(path, "utf8").split("\n").filter(Boolean)) {
  const sample: unknown = JSON.parse(line);
  const kind = field(sample, "kind");
  const label = field(sample, "label");
  const text = field(sample, "text") || toolText(sample);
  const found = analyzeText(text, surfaceOf(kind));
  const key = `${label} ${kind} ${field(sample, "source").split(":")[0] ?? ""}`;
  const counts = tally.get(key) ?? { flagged: 0, total: 0 };
  tally.set(key, { flagged: counts.flagged + Number(found.isSuspicious), total: counts.total + 1 });
  if (option === "--errors" && found.isSuspicious !== (label === "malicious")) {
    console.log(
      key,
      found.matches.map((match) => `${match.ruleId}(${match.excerpt})`).join("; "),
      "|",
      text.trim().slice(0, 220).replaceAll("\n", " "),
    );
  }
}
for (const [key, { flagged, total }] of [...tally].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
  console.log(key.padEnd(60), `${String(flagged)}/${String(total)}`, `${((100 * flagged) / total).toFixed(1)} %`);
}

function surfaceOf(kind: string): TextSurface {
  if (kind.startsWith("tool") && kind !== "tool_output") return "tool";
  return kind === "skill" ? "skill" : "output";
}

function field(value: unknown, name: string): string {
  const member: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  return typeof member === "string" ? member : "";
}

function toolText(sample: unknown): string {
  const tool: unknown = typeof sample === "object" && sample !== null ? Reflect.get(sample, "tool") : undefined;
  const rest: unknown = typeof tool === "object" && tool !== null ? Reflect.get(tool, "arguments") : undefined;
  return `${field(tool, "name")}\n${field(tool, "description")}\n${JSON.stringify(rest ?? [])}`;
}
