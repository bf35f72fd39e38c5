import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { AppError } from "../../../lib/errors.ts";
import { findLiteralSecret } from "../../../operations/configuration/literal-secrets.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const Reference = z.union([z.strictObject({ $env: z.string() }), z.strictObject({ $file: z.string() })]);

interface Where {
  readonly env: Environment;
  /** `$file` is relative to the folder of the file that holds it. */
  readonly folder: string;
  readonly path: string;
}

/** The value with every `{$env: NAME}` and `{$file: PATH}` replaced by its text. Throws `invalid_input` for one that leads nowhere. */
export function resolveReferences(value: unknown, where: Where): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => resolveReferences(item, where));
  const reference = Reference.safeParse(value);
  if (reference.success) return textOf(reference.data, where);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, resolveReferences(member, where)]));
}

/** Throws `invalid_input` where a server holds a secret in clear: files are shared and kept. */
export function refuseLiteralSecrets(server: Readonly<Record<string, unknown>>, path: string): void {
  const place = findLiteralSecret(server);
  if (place === undefined) return;
  const message = `\`${path}\`: server \`${String(server["name"])}\` holds a secret in clear in \`${place}\`; write \`{ $env: NAME }\` or \`{ $file: PATH }\` there`;
  throw new AppError("invalid_input", message);
}

function textOf(reference: z.output<typeof Reference>, { env, folder, path }: Where): string {
  if ("$env" in reference) {
    const text = env[reference.$env];
    if (text !== undefined && text !== "") return text;
    throw new AppError(
      "invalid_input",
      `\`${path}\`: the variable \`${reference.$env}\` is not set; set it and repeat`,
    );
  }
  const file = resolve(folder, reference.$file);
  try {
    // Editors end files with a line break, which no secret has.
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new AppError("invalid_input", `\`${path}\`: the file \`${reference.$file}\` cannot be read`, {
      cause: error,
    });
  }
}
