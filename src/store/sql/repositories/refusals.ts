import { AppError } from "../../../lib/errors.ts";

/** How an aggregate is called in messages, and which operation shows what exists. */
export interface Noun {
  readonly singular: string;
  readonly listedBy: string;
}

export function notFound(noun: Noun, ref: string): AppError {
  return new AppError("not_found", `${noun.singular} \`${ref}\` does not exist; ${noun.listedBy} shows what does`, {
    details: { kind: noun.singular, ref },
  });
}

/** A value that must be unique is taken. `field` is the input field at fault. */
export function taken(noun: Noun, field: string, value: string): AppError {
  return new AppError("conflict", `${noun.singular} \`${value}\` already exists; choose another ${field}`, {
    details: { field },
  });
}

/** For an entity whose stored version is not the one below it; `stored` undefined means that it is gone. */
export function staleSave(
  noun: Noun,
  entity: { readonly id: string; readonly version: number },
  stored?: number,
): AppError {
  if (stored === undefined) return notFound(noun, entity.id);
  return new AppError(
    "conflict",
    `${noun.singular} \`${entity.id}\` was changed meanwhile and is at version ${stored}; read it again, then repeat the change`,
    { details: { field: "version", currentVersion: stored } },
  );
}
