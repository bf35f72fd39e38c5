/** The parser's message about a mistaken command line, without values: one may be a secret whose option is misspelt or not quoted. */
export function withoutValues(message: string): string {
  return message
    .replace(/^(error: unknown option '--[^'=]*)=[^]*$/, "$1'\n")
    .replace(/^(error: unknown option '-[^-'])[^'][^]*$/, "$1'\n")
    .replace(/^(error: too many arguments[^]*? but got \d+): [^]*$/, "$1; put a value that holds spaces in quotes\n");
}
