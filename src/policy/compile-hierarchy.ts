import type { Compile } from "./compile-expression.ts";
import type { Code, Environment } from "./environment.ts";
import { toObject, toText } from "./json-tree.ts";
import { misfit } from "./operators.ts";
import { type EntityUid, failure, type Result, typeName } from "./value.ts";

/** `left in right`: itself, or below it in the hierarchy; `right` may be a set. */
export function compileIn(operands: unknown, compile: Compile): Code {
  const { left, right } = toObject(operands);
  return inCode(compile(left), compile(right));
}

/** `left is Type` and `left is Type in right`. */
export function compileIs(operands: unknown, compile: Compile): Code {
  const { left, entity_type: entityType, in: right } = toObject(operands);
  const type = toText(entityType);
  const entity = compile(left);
  const inRight = right === undefined ? undefined : inCode(entity, compile(right));
  return (env) => {
    const value = entity(env);
    if (typeof value !== "object" || value.kind !== "entity") return misfit("entity", value);
    if (value.type !== type) return false;
    return inRight === undefined ? true : inRight(env);
  };
}

function inCode(left: Code, right: Code): Code {
  return (env) => {
    const entity = left(env);
    const target = right(env);
    if (typeof entity !== "object" || entity.kind !== "entity") return misfit("entity", entity, target);
    if (typeof target !== "object") return misfit("entity or set of entities", target);
    if (target.kind === "entity") return isBelow(entity, target, env);
    return target.kind === "set"
      ? isBelowAny(entity, target.items(), env)
      : misfit("entity or set of entities", target);
  };
}

/** Every element must be an entity, also those after the one that matches: Cedar checks them all. */
function isBelowAny(entity: EntityUid, targets: readonly Result[], env: Environment): Result {
  let isFound = false;
  for (const target of targets) {
    if (typeof target !== "object" || target.kind !== "entity") {
      return failure(`type error: expected a set of entities, got ${typeName(target)} in it`);
    }
    isFound ||= isBelow(entity, target, env);
  }
  return isFound;
}

function isBelow(entity: EntityUid, target: EntityUid, env: Environment): boolean {
  return entity.key === target.key || env.factsOf(entity.key)?.ancestors.has(target.key) === true;
}
