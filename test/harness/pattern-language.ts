/*
 * What a pattern can match, read from the pattern itself, for proofs about all of its matches. Knows the syntax that our detection
 * patterns use, and throws on any other.
 */

/** Stands in a skeleton for text that is not the same in each match, possibly none. */
export const HOLE = "\u0000";
/** A choice of so few characters is spelled out. */
const SPELLED_MAX = 8;

type Node =
  | { readonly kind: "char"; readonly members: readonly string[] | undefined }
  | { readonly kind: "nothing" }
  | { readonly kind: "all"; readonly parts: readonly Node[] }
  | { readonly kind: "one"; readonly options: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly min: number; readonly max: number };

/** What stands in some of the matches: every match is one of the skeletons with its holes filled. */
export interface Skeleton {
  readonly text: string;
  /** No match of this form is shorter. */
  readonly lengthMin: number;
}

/** Covers every match. Assertions are left out, which only adds texts. */
export function skeletonsOf(pattern: RegExp): readonly Skeleton[] {
  return expand(parse(pattern.source));
}

/** A text that the pattern matches but for its assertions, which the caller MUST check. `random` gives numbers in `[0, 1)`. */
export function sampleOf(pattern: RegExp, random: () => number): string {
  const text = sample(parse(pattern.source), random);
  if (!pattern.ignoreCase) return text;
  return text
    .split("")
    .map((char) => (random() < 0.3 ? char.toUpperCase() : char))
    .join("");
}

function expand(node: Node): readonly Skeleton[] {
  if (node.kind === "nothing") return [{ text: "", lengthMin: 0 }];
  if (node.kind === "one") return node.options.flatMap(expand);
  if (node.kind === "char") {
    const { members } = node;
    const isSpelled = members !== undefined && members.length <= SPELLED_MAX;
    return isSpelled ? members.map((text) => ({ text, lengthMin: 1 })) : [{ text: HOLE, lengthMin: 1 }];
  }
  if (node.kind === "repeat") {
    const inner = expand(node.part);
    if (node.min === 0 && node.max === 1) return [{ text: "", lengthMin: 0 }, ...inner];
    return [{ text: HOLE, lengthMin: node.min * Math.min(...inner.map(({ lengthMin }) => lengthMin)) }];
  }
  let found: readonly Skeleton[] = [{ text: "", lengthMin: 0 }];
  for (const part of node.parts) {
    const next = expand(part);
    found = found.flatMap((left) =>
      next.map((right) => ({ text: left.text + right.text, lengthMin: left.lengthMin + right.lengthMin })),
    );
  }
  return found;
}

/** Characters that a class with too many of them to spell out is filled with, where it takes them. */
const FILLING = "abcXYZ0123456789_-./+".split("");

function sample(node: Node, random: () => number): string {
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];
  if (node.kind === "nothing") return "";
  if (node.kind === "all") return node.parts.map((part) => sample(part, random)).join("");
  if (node.kind === "char") return pick(node.members ?? FILLING) ?? "";
  if (node.kind === "one") {
    const option = pick(node.options);
    return option === undefined ? "" : sample(option, random);
  }
  const count = node.min + Math.floor(random() * (Math.min(node.max - node.min, 4) + 1));
  return Array.from({ length: count }, () => sample(node.part, random)).join("");
}

function parse(source: string): Node {
  const reader = new Reader(source);
  const node = reader.options();
  if (!reader.isAtEnd) throw new Error(`cannot read \`${source}\` from ${reader.at}`);
  return node;
}

class Reader {
  at = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  get isAtEnd(): boolean {
    return this.at === this.#source.length;
  }

  options(): Node {
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    return { kind: "one", options };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (!this.isAtEnd && !/^[|)]/.test(this.#rest)) parts.push(this.#repeated(this.#atom()));
    return { kind: "all", parts };
  }

  #repeated(part: Node): Node {
    if (this.#take("?")) return { kind: "repeat", part, min: 0, max: 1 };
    const bounds = this.#match(/^\{(\d+)(,)?(\d+)?\}/);
    if (bounds === undefined) {
      if (/^[*+]/.test(this.#rest)) throw new Error("no detection pattern repeats without a bound");
      return part;
    }
    const min = Number(bounds[1]);
    return { kind: "repeat", part, min, max: bounds[2] === undefined ? min : Number(bounds[3]) };
  }

  #atom(): Node {
    if (this.#match(/^\((?:\?[=!]|\?<[=!])/) !== undefined) {
      this.#close(this.options());
      return { kind: "nothing" };
    }
    if (this.#match(/^\((?:\?(?:-i)?:)?/) !== undefined) return this.#close(this.options());
    if (this.#take("\\b")) return { kind: "nothing" };
    const members = this.#match(/^\[((?:[^\]\\]|\\.)*)\]/)?.[1];
    if (members !== undefined) return { kind: "char", members: membersOf(members) };
    return { kind: "char", members: this.#character() };
  }

  #character(): readonly string[] | undefined {
    const escaped = this.#match(/^\\(.)/)?.[1];
    if (escaped !== undefined) return escapeOf(escaped);
    const plain = this.#match(/^[\w:;/@&=%<>#"', -]/)?.[0];
    if (plain === undefined) throw new Error(`cannot read ${JSON.stringify(this.#rest.slice(0, 10))}`);
    return [plain];
  }

  #close(node: Node): Node {
    if (!this.#take(")")) throw new Error("a group is not closed");
    return node;
  }

  get #rest(): string {
    return this.#source.slice(this.at);
  }

  #take(text: string): boolean {
    if (!this.#rest.startsWith(text)) return false;
    this.at += text.length;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    const found = pattern.exec(this.#rest);
    this.at += found?.[0].length ?? 0;
    return found ?? undefined;
  }
}

/** Undefined for a class of all characters but some. */
function membersOf(inside: string): readonly string[] | undefined {
  if (inside.startsWith("^")) return undefined;
  return [...inside.matchAll(/\\(.)|(.)-([^\]])|(.)/g)].flatMap(([, escaped, from, to, one = ""]) => {
    if (escaped !== undefined) return escapeOf(escaped);
    if (from === undefined || to === undefined) return [one];
    const [first, last] = [from.charCodeAt(0), to.charCodeAt(0)];
    return Array.from({ length: last - first + 1 }, (_, index) => String.fromCharCode(first + index));
  });
}

function escapeOf(letter: string): readonly string[] {
  if (letter === "n") return ["\n"];
  if (letter === "r") return ["\r"];
  if (letter === "d") return "0123456789".split("");
  // More than these count as space; as many as are not spelled out stand for them.
  if (letter === "s") return " \t\n\r\v\f\u00a0\u2028\ufeff".split("");
  if (/[a-z]/i.test(letter)) throw new Error(`no detection pattern uses \`\\${letter}\``);
  return [letter];
}
