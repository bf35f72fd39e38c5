import { z } from "zod";
import { isSecretFlag, isSecretOption, isSecretValue, partSecretAssignment } from "../servers/secret-place.ts";

const SECRET_MEMBERS = ["token", "value", "password", "clientSecret"] as const;

const Members = z.record(z.string(), z.unknown());
const Credential = z.looseObject({ values: Members.optional() });

/**
 * Where the entry of a server holds a secret in clear instead of a reference, such as `headers.Authorization`; undefined where it
 * does nowhere. Of a credential every secret member counts, whatever it looks like; elsewhere what a name or a form tells.
 */
export function findLiteralSecret(server: Readonly<Record<string, unknown>>): string | undefined {
  return (
    inCredential(server["credential"]) ??
    inNamed(server, "headers") ??
    inNamed(server, "env") ??
    inArguments(server["args"])
  );
}

function inCredential(credential: unknown): string | undefined {
  const parsed = Credential.safeParse(credential);
  if (!parsed.success) return undefined;
  const { values = {}, ...members } = parsed.data;
  const member = SECRET_MEMBERS.find((name) => isLiteral(members[name]));
  if (member !== undefined) return `credential.${member}`;
  const name = Object.keys(values).find((variable) => isLiteral(values[variable]));
  return name === undefined ? undefined : `credential.values.${name}`;
}

function inNamed(server: Readonly<Record<string, unknown>>, field: "headers" | "env"): string | undefined {
  const parsed = Members.safeParse(server[field]);
  if (!parsed.success) return undefined;
  const found = Object.entries(parsed.data).find(
    ([name, value]) => isLiteral(value) && isSecretValue(String(value), { isNamedSecret: isSecretOption(name) }),
  );
  return found === undefined ? undefined : `${field}.${found[0]}`;
}

function inArguments(value: unknown): string | undefined {
  const args: readonly unknown[] = Array.isArray(value) ? value : [];
  const index = args.findIndex(
    (argument, at) => isLiteral(argument) && isSecretArgument(String(argument), args[at - 1]),
  );
  return index < 0 ? undefined : `args.${index}`;
}

function isSecretArgument(argument: string, before: unknown): boolean {
  const part = partSecretAssignment(argument);
  if (part !== undefined) return isSecretValue(part.secret, { isNamedSecret: true });
  return isSecretValue(argument, { isNamedSecret: typeof before === "string" && isSecretFlag(before) });
}

/** A reference is an object; a number was meant as text. */
function isLiteral(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}
