import type { Random } from "./random.ts";

/** An expression of Cedar's JSON form. */
export type Node = Readonly<Record<string, unknown>>;

export type Kind =
  | "boolean"
  | "long"
  | "string"
  | "set"
  | "record"
  | "entity"
  | "decimal"
  | "ip"
  | "datetime"
  | "duration";

const KINDS: readonly Kind[] = [
  "boolean",
  "long",
  "string",
  "set",
  "record",
  "entity",
  "decimal",
  "ip",
  "datetime",
  "duration",
];

export const TYPES = ["Agent", "Member", "Group", "Server", "Tool"].map((name) => `Runlayer::${name}`);
export const IDS = ["a", "b", "c"];
export const NAMES = ["a", "b", "name", "x y", "constructor", "__proto__x"];
export const STRINGS = ["", "a", "ab", "a*b", "é", "x\ny", '"', "😀b", "aab", "abab", "name"];
export const LONGS = [0, 1, -1, 2, 5, 100, -7, 9_007_199_254_740_991, -9_007_199_254_740_991, 4_294_967_296];
export const DECIMALS = [
  "0.0",
  "1.5",
  "-1.5",
  "1.50",
  "12.3456",
  "922337203685477.5807",
  "922337203685477.5808",
  "1",
  ".5",
  "1.23456",
  "-0.0",
  "-922337203685477.5808",
  "01.5",
  "+1.0",
  "1.",
];
export const IPS = [
  "10.0.0.1",
  "10.0.0.0/8",
  "10.0.0.1/8",
  "0.0.0.0/0",
  "127.0.0.1",
  "127.1.2.3/7",
  "224.0.0.1",
  "::1",
  "ff00::/8",
  "::/0",
  "fe80::1/64",
  "1:2:3:4:5:6:7:8",
  "1::8",
  "1:2:3:4:5:6:7::",
  "::ffff:1.2.3.4",
  "10.0.0.256",
  "010.0.0.1",
  "10.0.0.1/33",
  "10.0.0.1/08",
  "::1/129",
  ":::",
  "1::2::3",
  "",
  "10.0.0",
  "12345::",
  "::1/0",
  "10.0.0.1/",
  "10.0.0.1/+8",
  "g::",
];
export const DATETIMES = [
  "2024-01-01",
  "2024-02-30",
  "2023-02-29",
  "2024-02-29",
  "1969-12-31T23:59:59.999Z",
  "2024-01-01T10:20:30Z",
  "2024-01-01T10:20:30.123+0130",
  "2024-01-01T10:20:30-2359",
  "2024-01-01T24:00:00Z",
  "2024-01-01T10:20:60Z",
  "2024-1-1",
  "2024-01-01T10:20:30",
  "0000-01-01",
  "9999-12-31",
  "2024-01-01T10:20:30+2400",
  "2024-01-01T10:20:30.12Z",
  "2024-01-01T10:20:30+01:30",
  "0001-01-01T00:00:00+2359",
  "2024-00-10",
  "2024-13-01",
  "2024-12-32",
];
export const DURATIONS = [
  "1d",
  "-1d",
  "1h30m",
  "5ms",
  "0ms",
  "1d2h3m4s5ms",
  "-90s",
  "1m1h",
  "",
  "-",
  "d",
  "1ms1s",
  "9223372036854775807ms",
  "9223372036854775808ms",
  "-9223372036854775808ms",
  "106751991167d",
  "106751991168d",
  "1d1d",
  "1s5m",
  "1.5s",
  "1",
  "5m7ms",
];

/** A path into the context of a request, and what is there. */
export interface KnownPath {
  readonly path: readonly string[];
  readonly kind: Kind;
}

/** Draws an expression of a kind; sometimes of another kind, because wrong types must fail alike. */
export class Expressions {
  readonly #random: Random;
  /** Paths into the context that hold something, so that accesses often succeed. */
  readonly #paths: readonly KnownPath[];

  constructor(random: Random, paths: readonly KnownPath[]) {
    this.#random = random;
    this.#paths = paths;
  }

  draw(kind: Kind, depth: number): Node {
    const random = this.#random;
    const drawn = random.chance(0.02) ? random.pick(KINDS) : kind;
    if (random.chance(drawn === "boolean" ? 0.05 : 0.4)) return this.#access(drawn, depth);
    if (depth > 0 && random.chance(0.08)) return this.#choice(drawn, depth);
    return this.#ofKind(drawn, depth);
  }

  #ofKind(kind: Kind, depth: number): Node {
    const random = this.#random;
    const inner = depth - 1;
    const isDeep = depth > 0;
    const makers: Readonly<Record<Kind, () => Node>> = {
      boolean: () => (isDeep ? this.#boolean(inner) : value(random.chance(0.5))),
      long: () => (isDeep && random.chance(0.5) ? this.#long(inner) : value(random.pick(LONGS))),
      string: () => value(random.pick(STRINGS)),
      set: () => ({ Set: random.list(3, () => this.draw(random.pick(KINDS), inner)) }),
      record: () => this.#record(inner),
      entity: () => this.#entity(),
      decimal: () => this.#extension("decimal", random.pick(random.chance(0.8) ? DECIMALS.slice(0, 5) : DECIMALS)),
      ip: () => this.#extension("ip", random.pick(random.chance(0.7) ? IPS.slice(0, 14) : IPS)),
      datetime: () => this.#instant("datetime", depth),
      duration: () => this.#instant("duration", depth),
    };
    return makers[kind]();
  }

  #entity(): Node {
    const random = this.#random;
    return random.chance(0.5) ? { Var: random.pick(["principal", "resource", "action"]) } : this.entity();
  }

  #instant(kind: "datetime" | "duration", depth: number): Node {
    if (depth <= 0 || this.#random.chance(0.7)) {
      return this.#extension(kind, this.#random.pick(kind === "datetime" ? DATETIMES : DURATIONS));
    }
    return kind === "datetime" ? this.#datetime(depth - 1) : this.#duration(depth - 1);
  }

  entity(): Node {
    return value({ __entity: { type: this.#random.pick(TYPES), id: this.#random.pick(IDS) } });
  }

  #boolean(depth: number): Node {
    const random = this.#random;
    const drawOf = (kind: Kind): Node => this.draw(kind, depth);
    const some = (): Node => drawOf(random.pick(KINDS));
    const pairOf = (kind: Kind): Node => ({ left: drawOf(kind), right: drawOf(kind) });
    const comparable = random.pick<Kind>(["long", "long", "datetime", "duration"]);
    const same = random.pick(KINDS);
    return random.pick<() => Node>([
      () => ({ "&&": pairOf("boolean") }),
      () => ({ "||": pairOf("boolean") }),
      () => ({ "!": { arg: drawOf("boolean") } }),
      () => ({ [random.pick(["==", "!="])]: random.chance(0.7) ? pairOf(same) : { left: some(), right: some() } }),
      () => ({ [random.pick(["<", "<=", ">", ">="])]: pairOf(comparable) }),
      () => ({ in: { left: drawOf("entity"), right: random.chance(0.6) ? drawOf("entity") : this.#entities() } }),
      () => this.#is(depth),
      () => ({ like: { left: drawOf("string"), pattern: this.#pattern() } }),
      () => ({ has: { left: this.#owner(depth), attr: this.#hasPath() } }),
      () => ({ contains: { left: drawOf("set"), right: some() } }),
      () => ({ [random.pick(["containsAll", "containsAny"])]: pairOf("set") }),
      () => ({ isEmpty: { arg: drawOf("set") } }),
      () =>
        call(random.pick(["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]), [
          drawOf("decimal"),
          drawOf("decimal"),
        ]),
      () => call(random.pick(["isIpv4", "isIpv6", "isLoopback", "isMulticast"]), [drawOf("ip")]),
      () => call("isInRange", [drawOf("ip"), drawOf("ip")]),
    ])();
  }

  #long(depth: number): Node {
    const random = this.#random;
    if (random.chance(0.2)) return { neg: { arg: this.draw("long", depth) } };
    if (random.chance(0.3)) {
      return call(random.pick(["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"]), [
        this.draw("duration", depth),
      ]);
    }
    return { [random.pick(["+", "-", "*"])]: { left: this.draw("long", depth), right: this.draw("long", depth) } };
  }

  #datetime(depth: number): Node {
    if (this.#random.chance(0.4)) return call("toDate", [this.draw("datetime", depth)]);
    return call("offset", [this.draw("datetime", depth), this.draw("duration", depth)]);
  }

  #duration(depth: number): Node {
    if (this.#random.chance(0.4)) return call("toTime", [this.draw("datetime", depth)]);
    return call("durationSince", [this.draw("datetime", depth), this.draw("datetime", depth)]);
  }

  #record(depth: number): Node {
    const names = new Set(this.#random.list(2, () => this.#random.pick(NAMES)));
    return { Record: Object.fromEntries([...names].map((name) => [name, this.draw(this.#random.pick(KINDS), depth)])) };
  }

  #choice(kind: Kind, depth: number): Node {
    const inner = depth - 1;
    const branches = Object.fromEntries(["then", "else"].map((name) => [name, this.draw(kind, inner)]));
    return { "if-then-else": { if: this.draw("boolean", inner), ...branches } };
  }

  #access(kind: Kind, depth: number): Node {
    const random = this.#random;
    const fitting = random.chance(0.95) ? this.#paths.filter((known) => known.kind === kind) : this.#paths;
    if (fitting.length === 0) return random.chance(0.9) ? this.#ofKind(kind, 0) : this.#strayAccess(depth);
    return pathNode({ Var: "context" }, random.pick(fitting).path);
  }

  #strayAccess(depth: number): Node {
    return pathNode(this.#owner(depth - 1), [this.#random.pick(NAMES)]);
  }

  #owner(depth: number): Node {
    const random = this.#random;
    if (random.chance(0.5)) return pathNode({ Var: "context" }, random.chance(0.5) ? ["args"] : []);
    if (random.chance(0.7) || depth <= 0) return { Var: random.pick(["principal", "resource"]) };
    return this.draw(random.pick(["record", "entity"]), depth);
  }

  #hasPath(): string | string[] {
    const random = this.#random;
    return random.chance(0.6) ? random.pick(NAMES) : [random.pick(NAMES), ...random.list(2, () => random.pick(NAMES))];
  }

  #entities(): Node {
    const random = this.#random;
    return { Set: random.list(3, () => (random.chance(0.95) ? this.entity() : value(1))) };
  }

  #is(depth: number): Node {
    const random = this.#random;
    const inside = random.chance(0.5) ? {} : { in: random.chance(0.7) ? this.entity() : this.#entities() };
    return { is: { left: this.draw("entity", depth), entity_type: random.pick(TYPES), ...inside } };
  }

  #pattern(): unknown[] {
    const random = this.#random;
    const part = (): unknown =>
      random.chance(0.5) ? "Wildcard" : { Literal: random.pick(["a", "b", "*", "é", "ab", "😀"]) };
    return [part(), ...random.list(3, part)];
  }

  #extension(name: string, text: string): Node {
    return call(name, [this.#random.chance(0.95) ? value(text) : this.draw("string", 0)]);
  }
}

function value(json: unknown): Node {
  return { Value: json };
}

function call(name: string, args: readonly Node[]): Node {
  return { [name]: args };
}

function pathNode(root: Node, path: readonly string[]): Node {
  return path.reduce<Node>((left, attr) => ({ ".": { left, attr } }), root);
}
