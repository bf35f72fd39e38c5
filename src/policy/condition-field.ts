import { AppError } from "../lib/errors.ts";
import { formatPath, parsePath } from "./argument-path.ts";
import { all, argumentIs, has, member } from "./cedar-text.ts";

/** A field of a condition, ready to be written as Cedar. */
export interface ConditionField {
  readonly name: string;
  readonly kind: "argument" | "text" | "ip" | "time" | "weekday";
  /** The Cedar expression of its value. */
  readonly reference: string;
  /** What must hold for the field to be there; empty if it always is. */
  readonly guards: readonly string[];
  /** The path below `args`, as `context.kinds` spells it. */
  readonly path: string;
}

const FIXED_FIELDS: ReadonlyMap<string, Omit<ConditionField, "name" | "path">> = new Map([
  ["context.ip", { kind: "ip", reference: "context.ip", guards: ["context has ip"] }],
  ["context.time", { kind: "time", reference: "context.time", guards: [] }],
  ["context.weekday", { kind: "weekday", reference: "context.weekday", guards: [] }],
  ["context.client", { kind: "text", reference: "context.client", guards: ["context has client"] }],
  ["tool.name", { kind: "text", reference: "resource.name", guards: ["resource is Runlayer::Tool"] }],
  ["agent.type", { kind: "text", reference: "principal.type", guards: [] }],
  ["member.email", { kind: "text", reference: "principal.member.email", guards: ["principal has member"] }],
] as const);

/** Throws `invalid_input` for a field that does not exist. */
export function parseConditionField(name: string): ConditionField {
  const fixed = FIXED_FIELDS.get(name);
  if (fixed !== undefined) return { name, path: "", ...fixed };
  const path = name.startsWith("args.") ? parsePath(name.slice("args.".length)) : undefined;
  const last = path?.at(-1);
  if (path === undefined || last === undefined) {
    const known = ["args.<path>", ...FIXED_FIELDS.keys()].map((field) => `\`${field}\``).join(", ");
    throw new AppError("invalid_input", `condition field \`${name}\` does not exist; use one of ${known}`, {
      details: { field: "conditions" },
    });
  }
  const owner = path.slice(0, -1);
  const hasLast = has(`context.args${owner.map(member).join("")}`, last);
  return {
    name,
    kind: "argument",
    reference: `context.args${path.map(member).join("")}`,
    guards: owner.length === 0 ? [hasLast] : [argumentIs("object", formatPath(owner)), hasLast],
    path: formatPath(path),
  };
}

/** The test that a field is there. */
export function fieldExists(field: ConditionField): string {
  return all(field.guards);
}
