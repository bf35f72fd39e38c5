import { entropyBits, findSecretSpans, isPlaceholder } from "../guard/find-secrets.ts";
import { isSecretName, mayNameSecret } from "../guard/mask-secrets.ts";

interface InlineSecret {
  readonly type: string;
  readonly secret: string;
}

/**
 * The secrets in a text that a person must act on. What is only taken for one by the name before it (`--token=`, `API_KEY=`) is judged as the value
 * of a variable is; texts that are shown are masked by `maskText`, which needs no such certainty.
 */
export function secretsIn(text: string): InlineSecret[] {
  return findSecretSpans(text).flatMap(({ type, start, end }) => {
    const secret = text.slice(start, end);
    if (isPlaceholder(secret)) return [];
    return isLikely(type, nameBefore(text, start), secret) ? [{ type, secret }] : [];
  });
}

/** What has a form of its own is a secret wherever it stands. */
function isLikely(type: string, name: string, value: string): boolean {
  if (type === "assigned-secret" || type === "option-secret") return isLikelySecret(name, value);
  // `--token /run/secrets/token` reads like a header.
  return type !== "authorization" || !isPlace(value);
}

/** What kind of secret a variable or header holds, if it holds one. */
export function secretTypeOf(name: string, value: string): string | undefined {
  const [known] = secretsIn(value);
  if (known !== undefined) return known.type;
  const bare = value.replace(/^(?:bearer|basic|token)\s+/i, "");
  if (!isSecretName(name) || isPlaceholder(bare) || bare.length < 8) return undefined;
  return isPlace(bare) || entropyBits(bare) < 2 ? undefined : "secret value";
}

function nameBefore(text: string, start: number): string {
  return /([\w-]{1,80})["']?\s{0,3}[:=]?\s{0,3}["']?$/.exec(text.slice(Math.max(0, start - 100), start))?.[1] ?? "";
}

function isLikelySecret(option: string, value: string): boolean {
  const name = option.replace(/^-+/, "");
  if (!mayNameSecret(name) || /[_-](?:file|path|dir|folder|url|uri|endpoint)$/i.test(name)) return false;
  // A password may be a number; of tokens it is how many.
  if (/^\d+$/.test(value) && !/passw|passphrase|secret/i.test(name)) return false;
  return !isPlace(value) && entropyBits(value) >= 2;
}

/** A secret-named variable may hold a file's path or an address; a path is no secret. */
function isPlace(value: string): boolean {
  return /^(?:[~.]{0,2}\/|[A-Z]:\\|https?:)/.test(value);
}
