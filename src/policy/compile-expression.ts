import { compileAccess, compileHas, compileVariable } from "./compile-access.ts";
import { compileIn, compileIs } from "./compile-hierarchy.ts";
import { compileCollection } from "./compile-collection.ts";
import { compileValue } from "./compile-value.ts";
import type { Code } from "./environment.ts";
import { EXTENSION_FUNCTIONS, type ExtensionFunction } from "./extensions.ts";
import { refuse, toArray, toObject, toOperation, toText } from "./json-tree.ts";
import { compilePattern, type PatternPart } from "./like.ts";
import { calculate } from "./long.ts";
import { andUnsure, chooseUnsure, equal, misfit, not, orUnsure, toBoolean, UNKNOWN } from "./operators.ts";
import { failure, isFailure, isLong, isUnknown, type Result } from "./value.ts";

/** Deeper trees overflow the stack of the Cedar library that checks them. */
const DEPTH_MAX = 200;

/** Compiles operands; each construct gets one, so that only this file knows about depth. */
export type Compile = (node: unknown) => Code;

/** Turns an expression of Cedar's JSON form into a closure. Throws `invalid_input` for what it does not know. */
export function compileExpression(node: unknown): Code {
  return compileAt(node, 0);
}

type Construct = (operands: unknown, compile: Compile) => Code;

const CONSTRUCTS: ReadonlyMap<string, Construct> = new Map<string, Construct>([
  ["Value", compileValue],
  ["Var", (name) => compileVariable(toText(name))],
  [".", compileAccess],
  ["has", compileHas],
  ["in", compileIn],
  ["is", compileIs],
  ["like", compileLike],
  ["&&", pair(and)],
  ["||", pair(or)],
  ["!", single((arg) => (env) => not(arg(env)))],
  ["neg", single((arg) => (env) => negate(arg(env)))],
  ["if-then-else", compileIf],
  ["==", pair((left, right) => (env) => equal(left(env), right(env)))],
  ["!=", pair((left, right) => (env) => not(equal(left(env), right(env))))],
  ["<", pair((left, right) => (env) => less(left(env), right(env)))],
  ["<=", pair((left, right) => (env) => lessOrEqual(left(env), right(env)))],
  [">", pair((left, right) => (env) => greater(left(env), right(env)))],
  [">=", pair((left, right) => (env) => greaterOrEqual(left(env), right(env)))],
  ["+", pair((left, right) => (env) => arithmetic("add", left(env), right(env)))],
  ["-", pair((left, right) => (env) => arithmetic("subtract", left(env), right(env)))],
  ["*", pair((left, right) => (env) => arithmetic("multiply", left(env), right(env)))],
  ...["contains", "containsAll", "containsAny", "isEmpty", "Set", "Record"].map((name): [string, Construct] => [
    name,
    (operands, compile) => compileCollection(name, operands, compile),
  ]),
]);

function compileAt(node: unknown, depth: number): Code {
  if (depth > DEPTH_MAX) refuse(`it nests deeper than ${DEPTH_MAX} levels; use sets, or split the policy`);
  const [operator, operands] = toOperation(node);
  const compile: Compile = (operand) => compileAt(operand, depth + 1);
  const construct = CONSTRUCTS.get(operator);
  if (construct !== undefined) return construct(operands, compile);
  const extension = EXTENSION_FUNCTIONS.get(operator);
  if (extension !== undefined) return compileExtension(extension, toArray(operands).map(compile));
  return refuse(`\`${operator}\` is not supported here`);
}

function pair(build: (left: Code, right: Code) => Code): Construct {
  return (operands, compile) => {
    const { left, right } = toObject(operands);
    return build(compile(left), compile(right));
  };
}

function single(build: (arg: Code) => Code): Construct {
  return (operands, compile) => build(compile(toObject(operands)["arg"]));
}

function and(left: Code, right: Code): Code {
  return (env) => {
    const first = left(env);
    if (first === false) return false;
    return first === true ? toBoolean(right(env)) : andUnsure(first, () => right(env));
  };
}

function or(left: Code, right: Code): Code {
  return (env) => {
    const first = left(env);
    if (first === true) return true;
    return first === false ? toBoolean(right(env)) : orUnsure(first, () => right(env));
  };
}

function compileIf(operands: unknown, compile: Compile): Code {
  const parts = toObject(operands);
  const condition = compile(parts["if"]);
  const whenTrue = compile(parts["then"]);
  const whenFalse = compile(parts["else"]);
  return (env) => {
    const test = condition(env);
    if (typeof test === "boolean") return test ? whenTrue(env) : whenFalse(env);
    return chooseUnsure(test, () => [whenTrue(env), whenFalse(env)]);
  };
}

function compileLike(operands: unknown, compile: Compile): Code {
  const { left, pattern } = toObject(operands);
  const matches = compilePattern(toArray(pattern).map(toPatternPart));
  const text = compile(left);
  return (env) => {
    const value = text(env);
    return typeof value === "string" ? matches(value) : misfit("string", value);
  };
}

function toPatternPart(part: unknown): PatternPart {
  return part === "Wildcard" ? "wildcard" : { literal: toText(toObject(part)["Literal"]) };
}

function compileExtension({ arity, isConstructor, call }: ExtensionFunction, args: readonly Code[]): Code {
  const [first, second] = args;
  if (first === undefined || args.length !== arity) return refuse(`a function call has ${args.length} arguments`);
  if (second === undefined) return isConstructor ? memoizedByText(first, call) : unaryCall(first, call);
  return (env) => {
    const left = first(env);
    const right = second(env);
    return firstUnusable(left, right) ?? call(left, right);
  };
}

function unaryCall(arg: Code, call: ExtensionFunction["call"]): Code {
  return (env) => {
    const value = arg(env);
    return firstUnusable(value, value) ?? call(value, value);
  };
}

/** A constructor on a literal always sees the same text: it is parsed once. */
function memoizedByText(arg: Code, call: ExtensionFunction["call"]): Code {
  let lastText: string | undefined;
  let lastResult: Result = failure("nothing parsed yet");
  return (env) => {
    const value = arg(env);
    if (typeof value !== "string") return firstUnusable(value, value) ?? call(value, value);
    if (value !== lastText) {
      lastResult = call(value, value);
      lastText = value;
    }
    return lastResult;
  };
}

function firstUnusable(left: Result, right: Result): Result | undefined {
  if (isFailure(left)) return left;
  if (isFailure(right)) return right;
  return isUnknown(left) || isUnknown(right) ? UNKNOWN : undefined;
}

function negate(value: Result): Result {
  return isLong(value) ? calculate("subtract", 0, value) : misfit("long", value);
}

function arithmetic(operation: Parameters<typeof calculate>[0], left: Result, right: Result): Result {
  return isLong(left) && isLong(right) ? calculate(operation, left, right) : misfit("long", left, right);
}

function less(left: Result, right: Result): Result {
  if (typeof left === "number" && typeof right === "number") return left < right;
  const order = compare(left, right);
  return typeof order === "number" ? order < 0 : order;
}

function lessOrEqual(left: Result, right: Result): Result {
  if (typeof left === "number" && typeof right === "number") return left <= right;
  const order = compare(left, right);
  return typeof order === "number" ? order <= 0 : order;
}

function greater(left: Result, right: Result): Result {
  if (typeof left === "number" && typeof right === "number") return left > right;
  const order = compare(left, right);
  return typeof order === "number" ? order > 0 : order;
}

function greaterOrEqual(left: Result, right: Result): Result {
  if (typeof left === "number" && typeof right === "number") return left >= right;
  const order = compare(left, right);
  return typeof order === "number" ? order >= 0 : order;
}

/** −1, 0 or 1; or the failure. Cedar orders longs, datetimes and durations, each among themselves. */
function compare(left: Result, right: Result): Result {
  if (isLong(left) && isLong(right)) return sign(left, right);
  if (typeof left === "object" && typeof right === "object" && left.kind === right.kind) {
    if (left.kind === "datetime" && right.kind === "datetime") return sign(left.ms, right.ms);
    if (left.kind === "duration" && right.kind === "duration") return sign(left.ms, right.ms);
  }
  return misfit("two longs, datetimes or durations", left, right);
}

function sign(left: number | bigint, right: number | bigint): number {
  if (left < right) return -1;
  return left > right ? 1 : 0;
}
