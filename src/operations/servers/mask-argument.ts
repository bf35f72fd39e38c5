import { escapeHiddenText } from "../../lib/escape-hidden.ts";
import { isSecretFlag, partSecretAssignment } from "./secret-place.ts";

const ARGUMENT_CHARACTERS_MAX = 500;
const HIDDEN = "********";
// Long runs of key characters with digits and letters mixed, as tokens have.
const TOKEN_LIKE = /(?=[A-Za-z0-9_\-+/=]*\d)(?=[A-Za-z0-9_\-+/=]*[A-Za-z])[A-Za-z0-9_\-+/=]{20,}/g;
const USER_INFO = /(:\/\/)[^/@\s]+@/g;

/** The arguments of a stdio command as they may be shown: people put tokens there, so what looks like one is hidden. */
export function maskArguments(args: readonly string[]): string[] {
  return args.map((argument, index) => (isSecretFlag(args[index - 1] ?? "") ? HIDDEN : maskArgument(argument)));
}

function maskArgument(argument: string): string {
  const named = partSecretAssignment(argument);
  if (named !== undefined) return `${escapeHiddenText(named.label, ARGUMENT_CHARACTERS_MAX)}${HIDDEN}`;
  const isPath = /^[@./~]/.test(argument) && !argument.includes("://");
  const masked = argument.replaceAll(USER_INFO, `$1${HIDDEN}@`);
  return escapeHiddenText(isPath ? masked : masked.replaceAll(TOKEN_LIKE, HIDDEN), ARGUMENT_CHARACTERS_MAX);
}
