/** One recognizable secret format. `group` names the part of the match that is the secret; absent means all of it. */
export interface SecretPattern {
  readonly type: string;
  readonly pattern: RegExp;
  readonly group?: number;
  /** A text without any of these cannot match: asking for them is cheaper than the pattern. In lower case where case does not count. */
  readonly needs: readonly string[];
  /** A text without any of these characters of `MARKS` cannot match either. */
  readonly marks?: string;
}

/**
 * Formats that issuers document. Each pattern starts at a fixed prefix and either runs to the end of a run of letters
 * or is bounded, so a scan stays linear in the text.
 */
export const KEY_PATTERNS: readonly SecretPattern[] = [
  { type: "runlayer-key", needs: ["rl_"], pattern: /(?<![A-Za-z0-9])rl_(?:org|agent|device)_[A-Za-z0-9_-]{8,256}/g },
  { type: "anthropic-key", needs: ["sk-ant-"], pattern: /(?<![A-Za-z0-9])sk-ant-[A-Za-z0-9_-]{16,256}/g },
  { type: "openrouter-key", needs: ["sk-or-"], pattern: /(?<![A-Za-z0-9])sk-or-[A-Za-z0-9_-]{16,256}/g },
  { type: "openai-key", needs: ["sk-"], pattern: /(?<![A-Za-z0-9])sk-(?!ant-|or-)[A-Za-z0-9_-]{20,256}/g },
  {
    type: "stripe-key",
    needs: ["k_live_", "k_test_", "whsec_"],
    pattern: /(?<![A-Za-z0-9])(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,256}/g,
  },
  {
    type: "github-token",
    needs: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    pattern: /(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})/g,
  },
  {
    type: "gitlab-token",
    needs: ["glpat-", "gldt-", "glrt-", "glptt-", "glsoat-", "glcbt-"],
    pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|ptt|soat|cbt)-[A-Za-z0-9_.-]{16,255}/g,
  },
  {
    type: "slack-token",
    needs: ["xox", "xapp-"],
    pattern: /(?<![A-Za-z0-9])(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,255}/g,
  },
  { type: "slack-webhook", needs: ["hooks.slack"], pattern: /hooks\.slack\.com\/services\/[A-Za-z0-9/_-]{20,120}/g },
  {
    type: "discord-webhook",
    needs: ["/webhooks/"],
    pattern: /discord(?:app)?\.com\/api\/webhooks\/\d{10,25}\/[A-Za-z0-9_-]{20,120}/g,
  },
  {
    type: "aws-access-key-id",
    needs: ["AKIA", "ASIA", "ABIA", "ACCA"],
    pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])/g,
  },
  { type: "google-api-key", needs: ["AIza"], pattern: /(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{30,60}/g },
  {
    type: "google-oauth-token",
    needs: ["ya29.", "GOCSPX-"],
    pattern: /(?<![A-Za-z0-9])(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,512}/g,
  },
  { type: "npm-token", needs: ["npm_"], pattern: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{30,255}/g },
  { type: "pypi-token", needs: ["pypi-"], pattern: /(?<![A-Za-z0-9])pypi-[A-Za-z0-9_-]{40,512}/g },
  { type: "huggingface-token", needs: ["hf_"], pattern: /(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,255}/g },
  { type: "sendgrid-key", needs: ["SG."], pattern: /(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}/g },
  { type: "notion-token", needs: ["secret_", "ntn_"], pattern: /(?<![A-Za-z0-9])(?:secret|ntn)_[A-Za-z0-9]{32,128}/g },
  { type: "linear-key", needs: ["lin_"], pattern: /(?<![A-Za-z0-9])lin_(?:api|oauth)_[A-Za-z0-9]{20,128}/g },
  { type: "figma-token", needs: ["figd_"], pattern: /(?<![A-Za-z0-9])figd_[A-Za-z0-9_-]{20,128}/g },
  { type: "atlassian-token", needs: ["ATATT3"], pattern: /(?<![A-Za-z0-9])ATATT3[A-Za-z0-9_=-]{20,512}/g },
  { type: "digitalocean-token", needs: ["_v1_"], pattern: /(?<![A-Za-z0-9])do[opr]_v1_[a-f0-9]{40,128}/g },
  { type: "databricks-token", needs: ["dapi"], pattern: /(?<![A-Za-z0-9])dapi[a-f0-9]{32}(?![a-f0-9])/g },
  {
    type: "shopify-token",
    needs: ["shpat_", "shpca_", "shppa_", "shpss_"],
    pattern: /(?<![A-Za-z0-9])shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}/g,
  },
  { type: "telegram-token", needs: [":AA"], pattern: /(?<![A-Za-z0-9])\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9])/g },
  {
    type: "vendor-key",
    needs: [
      "gsk_",
      "gsk-",
      "tvly_",
      "tvly-",
      "pplx_",
      "pplx-",
      "fc_",
      "fc-",
      "ctx7sk_",
      "ctx7sk-",
      "re_",
      "re-",
      "xai_",
      "xai-",
      "r8_",
      "r8-",
      "phc_",
      "phc-",
      "phx_",
      "phx-",
      "sbp_",
      "sbp-",
      "dop_",
      "dop-",
      "glsa_",
      "glsa-",
      "pat_",
      "pat-",
      "key_",
      "key-",
      "nvapi_",
      "nvapi-",
      "BSA_",
      "BSA-",
    ],
    // Not names of three words and more, such as `re-enable-login-for-users-v2`.
    pattern:
      /(?<![A-Za-z0-9])(?:gsk|tvly|pplx|fc|ctx7sk|re|xai|r8|phc|phx|sbp|dop|glsa|pat|key|nvapi|BSA)[_-](?=[A-Za-z0-9_-]{0,64}\d)(?!(?:[A-Z]?[a-z]{0,20}\d{0,8}[_-]){2,30}[A-Z]?[a-z]{0,20}\d{0,8}(?![A-Za-z0-9_-]))[A-Za-z0-9_-]{24,255}/g,
  },
  { type: "vault-token", needs: ["hvs.", "hvb.", "hvr."], pattern: /(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_-]{20,255}/g },
  { type: "age-key", needs: ["AGE-"], pattern: /AGE-SECRET-KEY-1[A-Z0-9]{40,80}/g },
  // The lookbehind keeps `eyJeyJeyJ…` from being tried at each repetition, which would be quadratic.
  {
    type: "jwt",
    needs: ["eyJ"],
    marks: ".",
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,8192}(?:\.[A-Za-z0-9_-]{0,2048}){0,3}/g,
  },
];

const SECRET_WORDS = ["passw", "passphrase", "secret", "token", "key", "credential"];

/** A place in a list is called a token as well. */
const CURSORS = "next|prev|previous|page|continuation|sync";

/** What secrets are called, not what only sounds like it: `secretary`, `tokenizer`, `max_tokens`, `page_token`. */
const SECRET_NAME = [
  "(?:password|passwd|passphrase",
  "secret(?!ar)",
  String.raw`(?<!(?:${CURSORS})[_-]?)token(?!iz|s?[_-]?(?:count|limit|budget|type)|s["']?\s{0,3}[:=]\s{0,3}\d{1,9}(?![a-z0-9_-]))`,
  "api[_-]?key",
  "access[_-]?key",
  "private[_-]?key",
  "credentials?)[a-z_-]{0,20}",
].join("|");
const QUOTE = String.raw`\\{0,7}["']?`;
/** A comparison or an arrow is code, unless a text follows. */
const ASSIGNS = String.raw`\s{0,3}(?:[:=]|%3[ad]|(?:===?|=>|:=)(?=\s{0,3}\\{0,7}["']))\s{0,3}`;
/** What code and prose say in the place of a secret. A password may begin with such a word: what stands behind tells. */
const NO_VALUE_WORD = String.raw`(?:string|number|boolean|unknown|undefined|required|optional|include|same-origin)[.?!]?(?![^\s"'\x60,;|&)}>\[\]\\])`;
/** A variable, or a word (`token: string`). */
const NO_VALUE = String.raw`(?!\$\{|\$[A-Z]|<|\[masked|${NO_VALUE_WORD}|(?:process\.env|os\.environ)(?![a-z0-9_-]))`;
/** May hold spaces where it is more than words. */
const QUOTED = ['"', "'"]
  .map(
    (quote) => String.raw`(?<=${quote})(?=[^${quote}\\]{0,512}\d)[^\s${quote}\\][^${quote}\\\r\n]{5,511}(?=${quote})`,
  )
  .join("|");
const UNQUOTED = String.raw`[^\s"',;&}{)\]]{6,512}`;

/** Secrets known by where they stand, not by their own form. */
export const PLACE_PATTERNS: readonly SecretPattern[] = [
  {
    // Whatever the scheme, or without one: a digit tells a value from a word.
    type: "authorization",
    needs: ["authorization", "auth-key"],
    marks: ":",
    pattern:
      /\b(?:authorization|auth-key)\\{0,7}["']?\s{0,3}:\s{0,3}\\{0,7}["']?(?:[a-z-]{3,20} )?((?=[a-z._~+/=-]{0,64}\d)[a-z0-9._~+/=-]{8,4096})/gi,
    group: 1,
  },
  {
    type: "authorization",
    needs: ["bearer"],
    // Not "bearer authentication".
    pattern: /\bbearer\s{1,4}((?!(?:auth[a-z]{0,12}|credentials?)\.?(?![a-z0-9._~+/=-]))[a-z0-9._~+/=-]{12,4096})/gi,
    group: 1,
  },
  {
    type: "authorization",
    needs: ["basic", "token"],
    // Not "basic understanding" or "token cross-origin": a single word in lower case is none, whereas Base64 mixes cases.
    pattern:
      /\b(?:basic|token)\s{1,4}((?!(?-i:[A-Za-z][a-z-]{11,60})\.?(?![a-z0-9._~+/=-]))[a-z0-9._~+/=-]{12,4096})/gi,
    group: 1,
  },
  { type: "url-password", needs: ["://"], pattern: /:\/\/[^\s/:@"'?#]{0,256}:([^\s/"'?#]{1,256})@/g, group: 1 },
  {
    type: "url-token",
    needs: ["?", "&"],
    pattern:
      /[?&](?!(?:next|prev|previous|page|continuation|sync)[_-]?(?:page)?[_-]?token=)(?:[a-z_-]{0,24}(?:token|api_?-?key|apikey|secret|password|passwd|signature)|key|sig|auth|code)=([^\s&"'<>#]{6,2048})/gi,
    group: 1,
  },
  {
    type: "assigned-secret",
    needs: SECRET_WORDS,
    marks: ":=%",
    // Also as JSON within JSON has it, and as an address within an address.
    pattern: new RegExp(`${SECRET_NAME}${QUOTE}${ASSIGNS}${QUOTE}(${NO_VALUE}(?:${QUOTED}|${UNQUOTED}))`, "gi"),
    group: 1,
  },
  {
    // Shorter words, which mean something else in most other places: code has spaces around what it assigns.
    type: "assigned-secret",
    needs: ["_pass", "-pass", "pwd"],
    marks: "=",
    pattern:
      /(?:[_-]pass|[_-]pwd|;\s{0,3}pwd)(?:=|\s{1,3}=\s{1,3}(?=["']))["']?((?!\$\{|\$[A-Z]|<|\[masked)[^\s"',;&}{)\]]{6,512})/gi,
    group: 1,
  },
  {
    type: "assigned-secret",
    needs: ["password", "identified by"],
    pattern: /\b(?:password|identified by)\s{1,3}'((?!\$|<|\[masked)[^'\r\n]{4,512})'/gi,
    group: 1,
  },
  {
    type: "assigned-secret",
    needs: SECRET_WORDS,
    marks: "/",
    pattern: /<[a-z:_-]{0,40}(?:password|passwd|secret|token|api[_-]?key)[a-z_-]{0,20}>([^\s<>]{6,512})<\//gi,
    group: 1,
  },
  {
    type: "cookie",
    needs: ["cookie"],
    marks: "=",
    // RFC 6265 §4.2.1: pairs of a name and a value. As a header, as an option, and as a script sets one.
    pattern:
      /\bcookie(?:\\{0,7}["']?\s{0,3}:\s{0,3}|\s{0,3}=\s{0,3}|\s)\\{0,7}["']?([A-Za-z0-9_.-]{1,128}=[^\r\n"'\\]{4,4096})/gi,
    group: 1,
  },
  {
    type: "curl-password",
    needs: ["curl"],
    marks: ":",
    // An option begins behind a space, alone or behind others (`-su`); a command goes on behind a backslash at the end of a line.
    pattern:
      /\bcurl(?=\s)(?:[^\r\n]|(?<=\\)\r?\n){0,256}\s(?:-[A-Za-z]{0,6}[uU]\s{0,2}|--(?:proxy-)?user[\s=]{1,2})["']?[^\s:"']{1,128}:((?!\$|<|\[masked)[^\s"']{4,256})/g,
    group: 1,
  },
  {
    type: "option-secret",
    needs: SECRET_WORDS,
    marks: "-",
    pattern:
      /--?[a-z_-]{0,24}(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\s{1,3}["']?((?!-|\$|<|\[masked)[^\s"',;]{6,512})/gi,
    group: 1,
  },
];
