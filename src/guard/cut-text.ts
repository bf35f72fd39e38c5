/** The beginning of a long text, and how long it is. ASCII: one character beyond Latin-1 doubles what the whole event weighs. */
export function cutText(text: string, charactersMax: number): string {
  return `${text.slice(0, charactersMax).toWellFormed()}... (${text.length} characters)`;
}
