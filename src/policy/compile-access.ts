import type { Compile } from "./compile-expression.ts";
import type { Code, Environment } from "./environment.ts";
import { refuse, toArray, toObject, toText } from "./json-tree.ts";
import { misfit, UNKNOWN } from "./operators.ts";
import { failure, type Result } from "./value.ts";

/** `principal`, `action`, `resource` or `context`. While a list is filtered, the context as a whole is unknown. */
export function compileVariable(name: string): Code {
  if (name === "principal") return (env) => env.principal;
  if (name === "resource") return (env) => env.resource;
  if (name === "action") return (env) => env.action;
  return name === "context" ? (env) => (env.isPartial ? UNKNOWN : env.context) : refuse(`\`${name}\` is no variable`);
}

/** `left.attr`: a missing attribute or entity is an evaluation error. */
export function compileAccess(operands: unknown, compile: Compile): Code {
  const { left, attr } = toObject(operands);
  const name = toText(attr);
  const missing = failure(`attribute \`${name}\` is missing`);
  const base = compileBase(left, compile);
  return (env) => {
    const owner = base(env);
    const found = memberOf(owner, name, env);
    if (found !== undefined) return found;
    return hasMembers(owner) ? missing : misfit("record or entity", owner);
  };
}

/** `left has attr`, and `left has a.b.c`, which asks for each level in turn. */
export function compileHas(operands: unknown, compile: Compile): Code {
  const { left, attr } = toObject(operands);
  const path = typeof attr === "string" ? [attr] : toArray(attr).map(toText);
  const base = compileBase(left, compile);
  return (env) => {
    let owner = base(env);
    for (const name of path) {
      if (!hasMembers(owner)) return misfit("record or entity", owner);
      const found = memberOf(owner, name, env);
      if (found === undefined) return false;
      owner = found;
    }
    return true;
  };
}

/** A member of the context is known even while the context as a whole is not. */
function compileBase(left: unknown, compile: Compile): Code {
  return toObject(left)["Var"] === "context" ? (env) => env.context : compile(left);
}

function memberOf(owner: Result, name: string, env: Environment): Result | undefined {
  if (typeof owner !== "object") return undefined;
  if (owner.kind === "record") return owner.get(name);
  return owner.kind === "entity" ? env.factsOf(owner.key)?.attributes.get(name) : undefined;
}

function hasMembers(owner: Result): boolean {
  return typeof owner === "object" && (owner.kind === "record" || owner.kind === "entity");
}
