import { type Evidence, type Severity, toExcerpt } from "./evidence.ts";

/** A line-based rule over the text files of a skill. Patterns are linear: no nested repetition. */
interface LineRule {
  readonly rule: string;
  readonly severity: Severity;
  readonly pattern: RegExp;
}

const DOWNLOAD = String.raw`\b(?:curl|wget|iwr|invoke-webrequest)\b`;
const SHELL = String.raw`(?:ba|z|da|k)?sh|python3?|node|perl|ruby|iex|invoke-expression`;

const LINE_RULES: readonly LineRule[] = [
  {
    rule: "download_and_run",
    severity: "high",
    pattern: new RegExp(String.raw`${DOWNLOAD}[^\n|]{0,300}\|\s{0,5}(?:sudo\s{1,5})?(?:${SHELL})\b`, "i"),
  },
  {
    rule: "download_and_run",
    severity: "high",
    pattern: new RegExp(
      String.raw`\b(?:${SHELL}|eval|source)\b[^\n]{0,20}(?:<\(|\$\(|\x60)\s{0,5}(?:curl|wget)\b`,
      "i",
    ),
  },
  {
    rule: "decode_and_run",
    severity: "high",
    pattern: /base64\s{1,5}(?:-d|-D|--decode)[^\n|]{0,100}\|\s{0,5}(?:ba|z)?sh\b/,
  },
  {
    rule: "reverse_shell",
    severity: "critical",
    pattern: /\/dev\/tcp\/|\bnc\b[^\n]{0,60}\s-e\s|bash\s{1,3}-i\s{0,3}>&/,
  },
  { rule: "download", severity: "low", pattern: new RegExp(String.raw`${DOWNLOAD}[^\n]{0,200}https?://`, "i") },
  {
    rule: "destructive_command",
    severity: "medium",
    pattern: /\brm\s{1,5}-[a-z]*[rf][a-z]*\s{1,5}(?:\/|~|\$HOME)(?:\s|$|\*)/,
  },
];

/** Where secrets are read, and where text leaves the machine. One alone is ordinary; both in one file is a shape. */
const SOURCES: readonly RegExp[] = [
  /\.(?:ssh\/id_|aws\/credentials|netrc|npmrc|git-credentials|kube\/config|docker\/config\.json)/,
  /\bid_(?:rsa|ed25519|ecdsa)\b/,
  /\b(?:printenv|os\.environ\b(?!\.get\()|process\.env\b(?!\.[A-Za-z_]))/,
  /\benv\s{0,3}\|/,
  /security\s{1,3}find-(?:generic|internet)-password/,
  /(?:^|[\s"'/])\.env(?:\.local)?(?=[\s"'`);]|$)/,
  /(?:Login Data|cookies\.sqlite|wallet\.dat|keychain-db)/,
];
const SINKS: readonly RegExp[] = [
  /\bcurl\b[^\n]{0,200}(?:\s-d\b|\s--data|\s-F\b|\s--form|\s-T\b|\s--upload-file|-X\s{0,3}POST)/,
  /\b(?:requests|httpx|axios)\.(?:post|put)\(/,
  /\bfetch\([^\n]{0,200}method\s{0,3}:\s{0,3}["'](?:POST|PUT)/i,
  /\b(?:webhook\.site|requestbin|ngrok|pipedream\.net|oastify\.com|interact\.sh|discord(?:app)?\.com\/api\/webhooks)/,
  /\b(?:nslookup|dig)\b[^\n]{0,80}\$\(/,
];

/** A line longer than this is looked at in windows, so that a minified file is neither skipped nor slow. */
const WINDOW = 2_000;
const OVERLAP = 400;
/** Enough to decide; a file that repeats itself must not fill the answer. */
const EVIDENCE_PER_RULE_MAX = 5;

/** Looks for downloads, shells and exfiltration shapes (a source and a sink in one file) in a text file. */
export function scanShapes(text: string, path: string): readonly Evidence[] {
  const found: Evidence[] = [];
  const counts = new Map<string, number>();
  let source: Evidence | undefined;
  let sink: Evidence | undefined;
  for (const [index, whole] of text.split("\n").entries()) {
    for (const part of windowsOf(whole)) {
      const at = { path, line: index + 1, excerpt: toExcerpt(part) };
      const rule = LINE_RULES.find(({ pattern }) => pattern.test(part));
      if (rule !== undefined) add({ found, counts }, { rule: rule.rule, severity: rule.severity, ...at });
      if (SOURCES.some((pattern) => pattern.test(part)))
        source ??= { rule: "exfiltration_source", severity: "high", ...at };
      if (SINKS.some((pattern) => pattern.test(part))) sink ??= { rule: "exfiltration_sink", severity: "high", ...at };
    }
  }
  return source !== undefined && sink !== undefined ? [...found, source, sink] : found;
}

function add(state: { readonly found: Evidence[]; readonly counts: Map<string, number> }, evidence: Evidence): void {
  const count = (state.counts.get(evidence.rule) ?? 0) + 1;
  state.counts.set(evidence.rule, count);
  if (count <= EVIDENCE_PER_RULE_MAX) state.found.push(evidence);
}

function windowsOf(line: string): readonly string[] {
  if (line.length <= WINDOW) return [line];
  const starts = Array.from({ length: Math.ceil(line.length / (WINDOW - OVERLAP)) }, (_, index) => index);
  return starts.map((index) => line.slice(index * (WINDOW - OVERLAP), index * (WINDOW - OVERLAP) + WINDOW));
}
