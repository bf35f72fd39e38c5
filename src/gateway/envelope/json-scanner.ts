/** Where a value stands in its bytes: from `start` up to, not including, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A member of an object. `members` are those of its value, where the value is an object and was scanned that deep. */
export interface Member extends Span {
  readonly name: string;
  readonly members: readonly Member[];
}

export interface ScanLimits {
  /** Nesting beyond this is refused. */
  readonly depthMax: number;
  /** Members are collected for objects down to this depth: 1 is the outermost object alone. */
  readonly collectDepth: number;
  /** Objects down to this depth may not repeat a member name. */
  readonly uniqueDepth: number;
}

export type JsonFault = "syntax" | "duplicate" | "surrogate" | "depth" | "entries";

/** Bytes that are not JSON, or not JSON that every parser reads alike. */
export class JsonFaultError extends Error {
  override readonly name = "JsonFaultError";
  readonly fault: JsonFault;
  readonly at: number;

  constructor(fault: JsonFault, at: number) {
    super(`${fault} at byte ${at}`);
    this.fault = fault;
    this.at = at;
  }
}

const NO_MEMBERS: readonly Member[] = [];
/** Of what is collected: a list of millions of numbers would take a hundred times its bytes, and seconds in which nothing else runs. */
export const ENTRIES_MAX = 100_000;
/** Up to here a linear search beats building a set. */
const LINEAR_NAMES_MAX = 8;

const NOT_ASCII = 0x80;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWER_U = 0x75;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Bytes that a string may hold as they are (RFC 8259 §7). */
const IS_PLAIN = tableOf((byte) => byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH);
const IS_SPACE = tableOf((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
const IS_DIGIT = tableOf((byte) => byte >= ZERO && byte <= 0x39);
const IS_HEX = tableOf((byte) => /[0-9a-f]/i.test(String.fromCharCode(byte)));
const IS_ESCAPE = tableOf((byte) => '"\\/bfnrt'.includes(String.fromCharCode(byte)));
const LITERALS = ["true", "false", "null"].map((word) => Buffer.from(word));

/**
 * Reads JSON text (RFC 8259) once, without building values: it proves the grammar, the depth and that no object repeats a
 * member name, and tells where the values of interest stand. The bytes MUST be valid UTF-8. Throws `JsonFaultError`.
 */
export class JsonScanner {
  readonly #bytes: Buffer;
  /** The bytes as one code unit each: slices of it cost a fraction of a decoded piece of the buffer. */
  readonly #units: string;
  readonly #limits: ScanLimits;
  #at: number;

  constructor(bytes: Buffer, limits: ScanLimits, start = 0) {
    this.#bytes = bytes;
    this.#units = bytes.toString("latin1");
    this.#limits = limits;
    this.#at = start;
  }

  /** Scans the one value that the bytes hold. */
  document(): Member {
    const found = this.next();
    if (this.#at !== this.#bytes.length) throw this.#fault("syntax");
    return found;
  }

  /** Scans the value at the current place and the white space around it. */
  next(): Member {
    this.#space();
    const start = this.#at;
    const members = this.#value(1);
    const end = this.#at;
    this.#space();
    return { name: "", start, end, members };
  }

  /** Scans an array at the current place and gives its items. */
  items(): Member[] {
    const found: Member[] = [];
    this.#space();
    this.#expect(OPEN_BRACKET);
    this.#space();
    if (this.#take(CLOSE_BRACKET)) return found;
    do {
      if (found.length === ENTRIES_MAX) throw this.#fault("entries");
      found.push(this.next());
    } while (this.#take(COMMA));
    this.#expect(CLOSE_BRACKET);
    return found;
  }

  #value(depth: number): readonly Member[] {
    const byte = this.#bytes[this.#at] ?? 0;
    if (byte === QUOTE) this.#string();
    else if (byte === OPEN_BRACE) return this.#object(depth);
    else if (byte === OPEN_BRACKET) this.#array(depth);
    else if (byte === MINUS || IS_DIGIT[byte] === 1) this.#number();
    else this.#literal();
    return NO_MEMBERS;
  }

  #object(depth: number): readonly Member[] {
    this.#open(depth);
    if (this.#take(CLOSE_BRACE)) return NO_MEMBERS;
    const collected: Member[] | undefined = depth <= this.#limits.collectDepth ? [] : undefined;
    const names = depth <= this.#limits.uniqueDepth ? new NameSet() : undefined;
    do {
      this.#space();
      const name = this.#name();
      if (names?.add(name) === false) throw this.#fault("duplicate");
      this.#space();
      this.#expect(COLON);
      this.#space();
      const start = this.#at;
      const members = this.#value(depth + 1);
      if (collected?.length === ENTRIES_MAX) throw this.#fault("entries");
      collected?.push({ name, start, end: this.#at, members });
      this.#space();
    } while (this.#take(COMMA));
    this.#expect(CLOSE_BRACE);
    return collected ?? NO_MEMBERS;
  }

  #array(depth: number): void {
    this.#open(depth);
    if (this.#take(CLOSE_BRACKET)) return;
    do {
      this.#space();
      this.#value(depth + 1);
      this.#space();
    } while (this.#take(COMMA));
    this.#expect(CLOSE_BRACKET);
  }

  #open(depth: number): void {
    if (depth > this.#limits.depthMax) throw this.#fault("depth");
    this.#at += 1;
    this.#space();
  }

  #name(): string {
    const start = this.#at;
    const isPlainAscii = this.#string();
    if (isPlainAscii) return this.#units.slice(start + 1, this.#at - 1);
    const name: unknown = JSON.parse(this.#bytes.toString("utf8", start, this.#at));
    // Parsers replace a lone surrogate in different ways, so two names could become one.
    if (typeof name !== "string" || !name.isWellFormed()) throw this.#fault("surrogate");
    return name;
  }

  /** Says whether the string is ASCII without an escape, that is, its bytes are its text. */
  #string(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    let seen = 0;
    if (bytes[at] !== QUOTE) throw this.#fault("syntax");
    at += 1;
    for (;;) {
      const byte = bytes[at] ?? 0;
      if (IS_PLAIN[byte] === 1) {
        seen |= byte;
        at += 1;
      } else if (byte === QUOTE) break;
      else {
        at = this.#escape(at);
        seen = NOT_ASCII;
      }
    }
    this.#at = at + 1;
    return (seen & NOT_ASCII) === 0;
  }

  /** The place after the escape that begins at `at`. */
  #escape(at: number): number {
    const bytes = this.#bytes;
    const kind = bytes[at + 1] ?? 0;
    if (bytes[at] !== BACKSLASH) throw this.#fault("syntax");
    if (IS_ESCAPE[kind] === 1) return at + 2;
    if (kind !== LOWER_U) throw this.#fault("syntax");
    for (let digit = at + 2; digit < at + 6; digit += 1)
      if (IS_HEX[bytes[digit] ?? 0] !== 1) throw this.#fault("syntax");
    return at + 6;
  }

  #number(): void {
    this.#take(MINUS);
    if (!this.#take(ZERO)) this.#digits();
    if (this.#take(DOT)) this.#digits();
    const exponent = this.#bytes[this.#at];
    if (exponent !== 0x45 && exponent !== 0x65) return;
    this.#at += 1;
    const sign = this.#bytes[this.#at];
    if (sign === 0x2b || sign === MINUS) this.#at += 1;
    this.#digits();
  }

  #digits(): void {
    const start = this.#at;
    while (IS_DIGIT[this.#bytes[this.#at] ?? 0] === 1) this.#at += 1;
    if (this.#at === start) throw this.#fault("syntax");
  }

  #literal(): void {
    const bytes = this.#bytes;
    const found = LITERALS.find((word) => word.every((byte, index) => bytes[this.#at + index] === byte));
    if (found === undefined) throw this.#fault("syntax");
    this.#at += found.length;
  }

  #space(): void {
    while (IS_SPACE[this.#bytes[this.#at] ?? 0] === 1) this.#at += 1;
  }

  #take(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #expect(byte: number): void {
    if (!this.#take(byte)) throw this.#fault("syntax");
  }

  #fault(fault: JsonFault): JsonFaultError {
    return new JsonFaultError(fault, this.#at);
  }
}

/** Names of one object. Small ones are compared one by one, large ones through a set, so that no object costs quadratic time. */
class NameSet {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** False where the name is there already. */
  add(name: string): boolean {
    if (this.#many !== undefined) {
      const before = this.#many.size;
      return this.#many.add(name).size > before;
    }
    if (this.#few.includes(name)) return false;
    this.#few.push(name);
    if (this.#few.length > LINEAR_NAMES_MAX) this.#many = new Set(this.#few);
    return true;
  }
}

function tableOf(belongs: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (belongs(byte) ? 1 : 0));
}
