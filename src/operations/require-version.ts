import { AppError } from "../lib/errors.ts";

/** Throws `conflict` where the caller bases a change on another version than the stored one. */
export function requireVersion(stored: { readonly version: number }, expected: number | undefined): void {
  if (expected === undefined || expected === stored.version) return;
  throw new AppError(
    "conflict",
    `the object is at version ${stored.version}, not ${expected}; read it again and repeat`,
    {
      details: { field: "expectedVersion", version: stored.version },
    },
  );
}
