import { findSecretSpans, isPlaceholder } from "../../guard/find-secrets.ts";
import { isSecretName } from "../../guard/mask-secrets.ts";

const FLAG = /^-{1,2}([\w.-]+)$/;
const ASSIGNMENT = /^(-{0,2}([\w.-]+)[=:])(.+)$/s;
// `--token`, `--key`, `--licenseKey` and `--dsn`: of options these are secrets, of JSON members often not.
const SECRET_OPTION = /(?:key|dsn)$|^tokens?$/i;
const PATH = /^(?:(?:~|\.{0,2})\/|[A-Za-z]:\\)[^+=]*$/;

/** Whether an argument is a flag whose value is the next argument, and secret by its name. */
export function isSecretFlag(argument: string): boolean {
  return isSecretOption(FLAG.exec(argument)?.[1] ?? "");
}

/** `--api-key=abc` or `TOKEN=abc`, parted before the secret; undefined where the name tells of none. */
export function partSecretAssignment(
  argument: string,
): { readonly label: string; readonly secret: string } | undefined {
  const [, label = "", name = "", secret = ""] = ASSIGNMENT.exec(argument) ?? [];
  return isSecretOption(name) ? { label, secret } : undefined;
}

/** Whether a value is a secret: by its form, or by the name of where it stands, unless it only says where the secret is. */
export function isSecretValue(value: string, { isNamedSecret }: { readonly isNamedSecret: boolean }): boolean {
  if (isNamedSecret && value !== "" && !isPlace(value)) return true;
  return findSecretSpans(value).some(({ start, end }) => !isPlaceholder(value.slice(start, end)));
}

/** Whether a header, a variable or an option of this name holds a secret. */
export function isSecretOption(name: string): boolean {
  return isSecretName(name) || SECRET_OPTION.test(name);
}

function isPlace(value: string): boolean {
  return PATH.test(value) || /^https?:\/\//i.test(value);
}
