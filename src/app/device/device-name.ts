import { hostname } from "node:os";
import { isName } from "../../domain/names.ts";

/** The name of this machine in the form that names have. */
export function deviceNameOfHost(): string {
  const words = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 63);
  return isName(words) ? words : "device";
}
