/** Finds the line of `"name":`, `name:`, `[mcp_servers.name]` or `name = "name"`; undefined where there is none, or to look for it costs too much. */
export type LineFinder = (name: string) => number | undefined;

/** Who wrote the file chose its size, how many names it has and how often each stands there: looking is bounded, a line is only a help. */
const SEARCHED_CHARACTERS_MAX = 200_000_000;
const OCCURRENCE_COST = 100;
const START = { at: 0, line: 1 };

/** Names MUST be asked for in the order of the file where one may stand in it more than once. */
export function createLineFinder(text: string): LineFinder {
  let left = SEARCHED_CHARACTERS_MAX;
  let last = START;
  const find = (name: string, from: number): number | undefined => {
    for (let at = from; left > 0; at += 1) {
      const next = text.indexOf(name, at);
      left -= (next < 0 ? text.length : next) - at + OCCURRENCE_COST;
      if (next < 0) return undefined;
      at = next;
      if (isName(text, name, at)) return at;
    }
    return undefined;
  };
  return (name) => {
    if (name === "") return undefined;
    const at = find(name, last.at + 1) ?? find(name, START.at);
    if (at === undefined) return undefined;
    const from = at < last.at ? START : last;
    left -= at - from.at;
    const line = from.line + countLines(text, from.at, at);
    last = { at, line };
    return line;
  };
}

function isName(text: string, name: string, at: number): boolean {
  const after = text.slice(at + name.length, at + name.length + 4);
  return /^["']?\s*[:\]=]/.test(after) || /name["']?\s?[:=]\s?["']?$/.test(text.slice(Math.max(0, at - 12), at));
}

function countLines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
