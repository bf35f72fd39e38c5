import type { Compile } from "./compile-expression.ts";
import type { Code, Environment } from "./environment.ts";
import { refuse, toArray, toObject } from "./json-tree.ts";
import { misfit, UNKNOWN } from "./operators.ts";
import {
  cedarRecord,
  cedarSet,
  type CedarSet,
  type Failure,
  isFailure,
  isSubset,
  isUnknown,
  type Result,
  type Unknown,
  type Value,
} from "./value.ts";

/** Set and record literals, and the operators on sets. */
export function compileCollection(name: string, operands: unknown, compile: Compile): Code {
  if (name === "Set") return compileSet(toArray(operands), compile);
  if (name === "Record") return compileRecord(toObject(operands), compile);
  const { left, right, arg } = toObject(operands);
  if (name === "isEmpty") return onSet(compile(arg));
  const first = compile(left);
  const second = compile(right);
  if (name === "contains") return (env) => contains(first(env), second(env));
  if (name === "containsAll") return onSets(first, second, (whole, part) => isSubset(part, whole));
  if (name === "containsAny") return onSets(first, second, (whole, part) => part.items().some(whole.contains));
  return refuse(`\`${name}\` is not supported here`);
}

function compileSet(elements: readonly unknown[], compile: Compile): Code {
  const codes = elements.map(compile);
  // A set of literals, the usual case, is built once.
  const constant = elements.every(isLiteral) ? buildSet(codes.map((code) => code(NO_ENVIRONMENT))) : undefined;
  return constant === undefined ? (env) => buildSet(codes.map((code) => code(env))) : () => constant;
}

function compileRecord(members: Readonly<Record<string, unknown>>, compile: Compile): Code {
  const codes = Object.entries(members).map(([name, member]): [string, Code] => [name, compile(member)]);
  return (env) => {
    const values = new Map<string, Value>();
    let unknown: Unknown | undefined;
    for (const [name, code] of codes) {
      const value = code(env);
      if (isFailure(value)) return value;
      if (isUnknown(value)) unknown = UNKNOWN;
      else values.set(name, value);
    }
    return unknown ?? cedarRecord(values);
  };
}

function buildSet(elements: readonly Result[]): Value | Unknown | Failure {
  const failed = elements.find(isFailure);
  if (failed !== undefined) return failed;
  const known = elements.filter(isKnown);
  return known.length === elements.length ? cedarSet(known) : UNKNOWN;
}

function contains(whole: Result, element: Result): Result {
  if (isSet(whole) && isKnown(element)) return whole.contains(element);
  return isSet(whole) ? misfit("value", element) : misfit("set", whole, element);
}

function onSet(set: Code): Code {
  return (env) => {
    const value = set(env);
    return isSet(value) ? value.items().length === 0 : misfit("set", value);
  };
}

function onSets(left: Code, right: Code, test: (left: CedarSet, right: CedarSet) => boolean): Code {
  return (env) => {
    const first = left(env);
    const second = right(env);
    return isSet(first) && isSet(second) ? test(first, second) : misfit("two sets", first, second);
  };
}

function isSet(result: Result): result is CedarSet {
  return typeof result === "object" && result.kind === "set";
}

function isKnown(result: Result): result is Value {
  return !isFailure(result) && !isUnknown(result);
}

function isLiteral(node: unknown): boolean {
  return toObject(node)["Value"] !== undefined;
}

const NOBODY = { kind: "entity", type: "", id: "", key: "" } as const;

/** Literals look at nothing; this is what they look at. */
const NO_ENVIRONMENT: Environment = {
  principal: NOBODY,
  action: NOBODY,
  resource: NOBODY,
  context: cedarRecord(new Map()),
  factsOf: () => undefined,
  isPartial: false,
};
