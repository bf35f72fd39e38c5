import { cutText } from "./cut-text.ts";
import { isSecretOption, maskText, mayBePaired, mayNameSecret } from "./mask-secrets.ts";

export interface RedactedJson {
  readonly text: string;
  /** Whether a text in it was cut. */
  readonly isCut: boolean;
}

/** Escapes, and white space that would not stay on one line. */
const UNUSUAL = ["\\", "\n", "\r", "\t"];
const NOT_BLANK = /[^ ]/g;

/**
 * JSON without a secret, with its texts cut to `textCharactersMax`, from text to text: a quarter of what it costs to build the value, mask
 * and cut it, and write it again. Undefined where that has to be done all the same: something may be secret, or is written
 * unusually. `json` MUST be JSON in which no text holds a control character as it is (RFC 8259 §7).
 */
export function redactJson(json: string, textCharactersMax: number): RedactedJson | undefined {
  if (UNUSUAL.some((part) => json.includes(part))) return undefined;
  let redacted = "";
  let copied = 0;
  for (let open = json.indexOf('"'); open >= 0;) {
    const close = json.indexOf('"', open + 1);
    const text = json.slice(open + 1, close);
    if (isName(json, close + 1)) {
      // What another member names may be secret.
      if (mayBePaired(text) || mayNameSecret(text)) return undefined;
    } else if (isSecretOption(text)) {
      return undefined;
    } else if (text.length > textCharactersMax) {
      redacted += json.slice(copied, open + 1) + cutText(text, textCharactersMax);
      copied = close;
    }
    if (maskText(text) !== text) return undefined;
    open = json.indexOf('"', close + 1);
  }
  return { text: redacted + json.slice(copied), isCut: copied > 0 };
}

function isName(json: string, from: number): boolean {
  NOT_BLANK.lastIndex = from;
  const found = json.charAt(from);
  return (found === " " ? NOT_BLANK.exec(json)?.[0] : found) === ":";
}
