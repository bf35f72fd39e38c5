import { isJsonObject } from "./json-tree.ts";

/** The member of the context that stands for a test on arguments while a policy is validated. */
export const ARGUMENT_TEST = "someArgumentTest";

/**
 * A policy in which every test on `context.args` is replaced by an opaque boolean, so that Cedar's validator, which has no
 * open records, checks all the rest: what the test compares the argument with stays in it, inside a record.
 */
export function withoutArgumentTests(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutArgumentTests);
  if (!isJsonObject(node)) return node;
  const [entry] = Object.entries(node);
  if (entry === undefined || !mentionsArguments(node)) return node;
  const [operator, operands] = entry;
  if (!CONNECTIVES.has(operator)) return opaqueTest(node);
  return { [operator]: mapMembers(operands) };
}

const CONNECTIVES: ReadonlySet<string> = new Set(["&&", "||", "!", "if-then-else"]);

function mapMembers(operands: unknown): unknown {
  if (!isJsonObject(operands)) return operands;
  return Object.fromEntries(Object.entries(operands).map(([name, operand]) => [name, withoutArgumentTests(operand)]));
}

function opaqueTest(node: unknown): unknown {
  const opaque = { ".": { left: { Var: "context" }, attr: ARGUMENT_TEST } };
  const kept = checkableParts(node);
  if (kept.length === 0) return opaque;
  const record = { Record: Object.fromEntries(kept.map((part, index) => [`part${index}`, part])) };
  return { "&&": { left: { has: { left: record, attr: "part0" } }, right: opaque } };
}

/** The largest parts of a test that do not touch arguments and that a validator can say something about. */
function checkableParts(node: unknown): unknown[] {
  if (Array.isArray(node)) return node.flatMap(checkableParts);
  if (!isJsonObject(node)) return [];
  if (!mentionsArguments(node) && isExpression(node)) return isCheckable(node) ? [node] : [];
  return Object.values(node).flatMap(checkableParts);
}

function isExpression(node: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(node).length === 1 && node["Set"] === undefined;
}

function isCheckable(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(isCheckable);
  if (!isJsonObject(node)) return false;
  if (node["Value"] !== undefined) return isJsonObject(node["Value"]) && node["Value"]["__entity"] !== undefined;
  if (node["Var"] !== undefined) return true;
  return Object.entries(node).some(([name, part]) => EXTENSIONS.has(name) || isCheckable(part));
}

const EXTENSIONS: ReadonlySet<string> = new Set(["ip", "decimal", "datetime", "duration"]);

function mentionsArguments(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(mentionsArguments);
  if (!isJsonObject(node)) return false;
  return isArguments(node) || Object.values(node).some(mentionsArguments);
}

function isArguments(node: Readonly<Record<string, unknown>>): boolean {
  const access = node["."];
  return (
    isJsonObject(access) &&
    access["attr"] === "args" &&
    isJsonObject(access["left"]) &&
    access["left"]["Var"] === "context"
  );
}
