/** What of a definition a model reads, as one text. */
export interface ModelText {
  readonly text: string;
  /** Whether it holds everything. */
  readonly isWhole: boolean;
}

/** The longest honest definitions are some ten thousand characters. */
const CHARACTERS_MAX = 256 * 1024;

/**
 * Every text in a definition, names of members included, in their order: a model reads all of it, wherever it stands and however
 * deep. At most `charactersMax` of them, and 256 Ki.
 */
export function modelText(definition: unknown, charactersMax: number): ModelText {
  const texts: string[] = [];
  let left = Math.min(CHARACTERS_MAX, charactersMax);
  // Its depth is the server's choice, our call stack is not.
  const stack: unknown[] = [definition];
  while (stack.length > 0) {
    const value = stack.pop();
    if (typeof value === "string") {
      if (value.length > left) return { text: [...texts, value.slice(0, left)].join(BETWEEN), isWhole: false };
      left -= value.length + BETWEEN.length;
      texts.push(value);
    } else if (typeof value === "object" && value !== null) pushReversed(stack, value);
  }
  return { text: texts.join(BETWEEN), isWhole: true };
}

/** Two texts are no sentence: what ends one line may go on in the next, what ends a paragraph does not. */
const BETWEEN = "\n\n";

/** What is pushed last is read first. */
function pushReversed(stack: unknown[], value: object): void {
  if (Array.isArray(value)) {
    for (let index = value.length - 1; index >= 0; index -= 1) stack.push(value[index]);
    return;
  }
  for (const [name, member] of Object.entries(value).toReversed()) stack.push(member, name);
}
