import { compileExpression } from "./compile-expression.ts";
import { toEntityUid } from "./compile-value.ts";
import type { Code } from "./environment.ts";
import { isJsonObject, refuse, toArray, toObject, toText } from "./json-tree.ts";
import { andUnsure, not, toBoolean } from "./operators.ts";
import { type ScopeKeys, scopeKeysOf } from "./scope-keys.ts";
import type { AuditLevel, PolicyEffect } from "./policy-terms.ts";
import type { Result } from "./value.ts";

/** A policy as it is handed to the engine: what was stored, and the JSON form of its Cedar text. */
export interface PolicySource {
  readonly id: string;
  readonly name: string;
  readonly effect: PolicyEffect;
  readonly mode: "enforce" | "monitor" | "disabled";
  readonly audit?: AuditLevel | undefined;
  readonly expiresAtMs?: number | undefined;
  /** The `ast` of a `ParsedPolicy`; read defensively, because it comes from the database. */
  readonly ast: unknown;
}

export interface CompiledPolicy extends PolicySource {
  readonly keys: ScopeKeys;
  /** Ids of the actions in scope; `undefined` means any. */
  readonly actions: ReadonlySet<string> | undefined;
  /** Scope and conditions together: `standing`, then `passing`. */
  readonly matches: Code;
  /** The tests before the first that looks at the message: their result stands for as long as subject, target and policy do. */
  readonly standing: Code;
  /** All further tests; `undefined` where there are none. */
  readonly passing: Code | undefined;
}

/** Compiles one policy. Throws `invalid_input` with the reason for what the evaluator does not know. */
export function compilePolicy(source: PolicySource): CompiledPolicy {
  const { effect, principal, action, resource, conditions } = toObject(source.ast);
  const forbids = source.effect !== "allow";
  if (effect !== (forbids ? "forbid" : "permit")) refuse(`its effect is not \`${source.effect}\``);
  const tests = [
    ...scopeTests("principal", toObject(principal)),
    ...scopeTests("resource", toObject(resource)),
    ...toArray(conditions).map(toTest),
  ];
  const actionTest = actionScope(toObject(action));
  const codes = tests.map(compileExpression);
  const firstPassing = tests.findIndex(looksAtMessage);
  const standing = firstPassing < 0 ? codes : codes.slice(0, firstPassing);
  return {
    ...source,
    keys: scopeKeysOf(tests),
    actions: actionTest === undefined ? undefined : new Set(actionTest.map((uid) => uid.key)),
    matches: conjunction(codes),
    standing: conjunction(standing),
    passing: firstPassing < 0 ? undefined : conjunction(codes.slice(firstPassing)),
  };
}

/** Whether an expression asks for more than who calls and what is called. */
function looksAtMessage(test: unknown): boolean {
  if (Array.isArray(test)) return test.some(looksAtMessage);
  if (!isJsonObject(test)) return false;
  const { Var: variable } = test;
  if (variable === "context" || variable === "action") return true;
  return Object.values(test).some(looksAtMessage);
}

/** The scope constraint of Cedar's JSON form as an expression. */
function scopeTests(variable: string, constraint: Readonly<Record<string, unknown>>): unknown[] {
  const left = { Var: variable };
  const { op, entity, entity_type: entityType, in: inside } = constraint;
  if (op === "All") return [];
  if (op === "is") {
    const group = inside === undefined ? undefined : toLiteral(toObject(inside)["entity"]);
    return [{ is: { left, entity_type: toText(entityType), ...(group === undefined ? {} : { in: group }) } }];
  }
  if (op === "==" || op === "in") return [{ [op]: { left, right: toLiteral(entity) } }];
  return refuse("its scope has an unknown form");
}

function actionScope({
  op,
  entity,
  entities,
}: Readonly<Record<string, unknown>>): ReturnType<typeof toEntityUid>[] | undefined {
  if (op === "All") return undefined;
  if (op !== "==" && op !== "in") return refuse("its action scope has an unknown form");
  return (entities === undefined ? [entity] : toArray(entities)).map(toEntityUid);
}

function toLiteral(entity: unknown): unknown {
  const { type, id } = toEntityUid(entity);
  return { Value: { __entity: { type, id } } };
}

function toTest(condition: unknown): unknown {
  const { kind, body } = toObject(condition);
  return kind === "unless" ? { "!": { arg: body } } : body;
}

function conjunction(codes: readonly Code[]): Code {
  return (env) => {
    let index = 0;
    for (const code of codes) {
      index += 1;
      const result = code(env);
      if (result === false) return false;
      if (result !== true) return unsureFrom(result, codes.slice(index), env);
    }
    return true;
  };
}

function unsureFrom(result: Result, rest: readonly Code[], env: Parameters<Code>[0]): Result {
  return rest.length === 0 ? toBoolean(not(not(result))) : andUnsure(result, () => conjunction(rest)(env));
}
