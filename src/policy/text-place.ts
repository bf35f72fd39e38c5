/** Where in a text, counted from 1; columns count characters as an editor does. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The place of a byte offset in the UTF-8 form of the text, which is what the Cedar library counts in. */
export function locate(text: string, byteOffset: number): Place {
  const before = Buffer.from(text).subarray(0, byteOffset).toString();
  const lines = before.split("\n");
  return { line: lines.length, column: Array.from(lines.at(-1) ?? "").length + 1 };
}

/**
 * The first place of a name that a message quotes in backticks: the validator sees a rewritten policy and knows no places.
 * The start of the text if none of them occurs in it.
 */
export function locateName(text: string, message: string): Place {
  for (const [, name = ""] of message.matchAll(/`([^`]+)`/g)) {
    const index = text.indexOf(name);
    if (index >= 0) return locate(text, Buffer.byteLength(text.slice(0, index)));
  }
  return { line: 1, column: 1 };
}
