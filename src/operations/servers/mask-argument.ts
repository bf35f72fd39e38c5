import { escapeHiddenText } from "../../lib/escape-hidden.ts";

const ARGUMENT_CHARACTERS_MAX = 500;
// `--api-key=…`, `TOKEN=…`, and long runs of key characters with digits and letters mixed, as tokens have.
const NAMED_SECRET = /^(-{0,2}[\w.-]*(?:key|token|secret|password|passwd|pwd|auth|credential)[\w.-]*[=:])(.+)$/i;
const TOKEN_LIKE = /(?=[A-Za-z0-9_\-+/=]*\d)(?=[A-Za-z0-9_\-+/=]*[A-Za-z])[A-Za-z0-9_\-+/=]{20,}/g;
const USER_INFO = /(:\/\/)[^/@\s]+@/g;

/** An argument of a stdio command as it may be shown: people put tokens there, so what looks like one is hidden. */
function maskArgument(argument: string): string {
  const named = NAMED_SECRET.exec(argument);
  if (named !== null) return `${escapeHiddenText(named[1] ?? "", ARGUMENT_CHARACTERS_MAX)}********`;
  const isPath = /^[@./~]/.test(argument) && !argument.includes("://");
  const masked = argument.replaceAll(USER_INFO, "$1********@");
  return escapeHiddenText(isPath ? masked : masked.replaceAll(TOKEN_LIKE, "********"), ARGUMENT_CHARACTERS_MAX);
}

const SECRET_FLAG = /^-{1,2}[\w.-]*(?:key|token|secret|passw|passwd|pwd|auth|pat|dsn|credential)[\w.-]*$/i;

/** The arguments of a command as they may be shown: what follows a flag that names a secret is hidden too. */
export function maskArguments(args: readonly string[]): string[] {
  return args.map((argument, index) => (SECRET_FLAG.test(args[index - 1] ?? "") ? "********" : maskArgument(argument)));
}
