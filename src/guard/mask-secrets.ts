import { findSecretSpans } from "./find-secrets.ts";
import { maskEncoded } from "./mask-encoded.ts";

/** Deeper than any honest argument; below it a value is replaced, never walked. */
const DEPTH_MAX = 64;

/**
 * The same JSON value with secrets replaced by `[masked:<type>]`: known key formats, bearer tokens, private keys,
 * passwords in URLs, and every text below a member whose name says that it is secret. Gives back the very same object when nothing
 * was masked. Linear in the size of the value.
 */
export function maskSecrets(value: unknown): unknown {
  return maskValue(value, false, 0);
}

/** `maskSecrets` for one text. */
export function maskText(text: string): string {
  return maskEncoded(maskPlain(text), maskPlain);
}

function maskPlain(text: string): string {
  const spans = findSecretSpans(text);
  if (spans.length === 0) return text;
  const parts: string[] = [];
  let from = 0;
  for (const span of spans) {
    parts.push(text.slice(from, span.start), `[masked:${span.type}]`);
    from = span.end;
  }
  return parts.join("") + text.slice(from);
}

function maskValue(value: unknown, isSecret: boolean, depth: number): unknown {
  if (typeof value === "string") return isSecret && value !== "" ? "[masked:field]" : maskText(value);
  if (typeof value === "number") return isSecret ? "[masked:field]" : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= DEPTH_MAX) return "[masked:too-deep]";
  return Array.isArray(value) ? maskList(value, isSecret, depth) : maskObject(value, isSecret, depth);
}

function maskList(list: readonly unknown[], isSecret: boolean, depth: number): unknown {
  const masked = list.map((item, index) => maskValue(item, isSecret || followsOption(list, index), depth + 1));
  return masked.some((item, index) => item !== list[index]) ? masked : list;
}

function maskObject(object: object, isSecret: boolean, depth: number): unknown {
  const named = secretOfPair(object);
  let hasChanged = false;
  const members = Object.entries(object).map(([name, member]: [string, unknown]) => {
    const maskedName = name.length > 16 ? maskText(name) : name;
    const masked = maskValue(member, isSecret || name === named || isSecretMember(name, member), depth + 1);
    hasChanged ||= masked !== member || maskedName !== name;
    return [maskedName, masked] as const;
  });
  return hasChanged ? Object.fromEntries(members) : object;
}

/** What holds the value of a pair, and what may name it: `{"name": "X-Api-Key", "value": "…"}`, or what a browser is told to type. */
const PAIRS: readonly (readonly [string, readonly string[]])[] = [
  ["value", ["name", "key", "header", "variable", "field", "element", "selector"]],
  ["Value", ["Name", "Key"]],
  ["text", ["element", "selector"]],
];

/** Whether what a member of this name says may make another one secret, or the other way round. */
export function mayBePaired(name: string): boolean {
  return name === "value" || name === "Value" || name === "element" || name === "selector";
}

/** The member that holds the value of a pair whose name says that it is secret. */
function secretOfPair(object: object): string | undefined {
  const pair = PAIRS.find(([value]) => Object.hasOwn(object, value));
  if (pair === undefined) return undefined;
  const [value, names] = pair;
  const held = memberOf(object, value);
  const isNamed = names.some((name) => {
    const naming = memberOf(object, name);
    return typeof naming === "string" && isSecretMember(naming, held);
  });
  return isNamed ? value : undefined;
}

function memberOf(object: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(object, name)?.value;
}

/** Whether an item is what the option before it, such as `--password`, is given. */
function followsOption(list: readonly unknown[], index: number): boolean {
  const [option, item] = [list[index - 1], list[index]];
  if (typeof option !== "string" || typeof item !== "string") return false;
  return isSecretOption(option) && !item.startsWith("-");
}

/** Whether an argument of a command is an option whose value, the next argument, is secret. */
export function isSecretOption(argument: string): boolean {
  return argument.startsWith("-") && OPTION.test(argument) && isSecretMember(argument.replace(/^-+/, ""), "");
}

const OPTION = /^--?[A-Za-z][\w-]{2,63}$/;
const SECRET_NAME =
  /passw(?:or)?d|passphrase|passcode|(?:^|[_-])pwd(?:$|[_-])|(?:^|[_-])pass$|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|service[_-]?key|auth(?:$|[_-]?(?:key|header|orization))|authorization|bearer|credential|^(?:set-)?cookie$|(?:^|[_-])pat$|connection[_-]?string|(?:^|[_-])(?:jwt|otp|pin|cvv|ssn)$/i;
/** Names that hold the word "token" and no secret: pagination, counting, what a token is like. */
const PUBLIC_NAME =
  /^(?:(?:next|prev|previous|page|continuation|sync|start|progress)[_-]?(?:page)?[_-]?token|(?:max|min|total|num|prompt|completion|input|output|context)[_-]?(?:new[_-]?)?tokens?(?:[_-]?count)?|tokens?|token[_-]?(?:count|type|limit|address|id|symbol|name|url|endpoint|ids|budget)s?|auth[_-]?(?:type|method|url)|secret[_-]?(?:name|id|ref)s?|credential[_-]?(?:id|type|name)s?)$/i;

/** Whether a member of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !PUBLIC_NAME.test(name);
}

/** Whether some value of a member of this name would be masked, whatever the value looks like. */
export function mayNameSecret(name: string): boolean {
  return isSecretMember(name, "");
}

function isSecretMember(name: string, member: unknown): boolean {
  if (!SECRET_NAME.test(name)) return false;
  // "token": "abc" is a secret, and so is what an object or a list of that name holds; "tokens": 512 is a count.
  if (/^tokens?$/i.test(name)) return typeof member === "string" || typeof member === "object";
  // "pass": 12 is a count as well.
  if (/(?:^|[_-])pass$/i.test(name)) return typeof member === "string";
  return !PUBLIC_NAME.test(name);
}
