import { type Noun, notFound } from "../../../domain/not-found.ts";
import { AppError } from "../../../lib/errors.ts";

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
