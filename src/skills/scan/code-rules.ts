import { type CallExpression, type Node, parse, type Program } from "acorn";
import { simple } from "acorn-walk";
import { type DeclaredTools, findUndeclared } from "../runner/declared-tools.ts";
import { type Evidence, type Severity, toExcerpt } from "./evidence.ts";

/** Name under which the function's code appears in evidence. */
const PATH = "skill.js";

/**
 * Reads a skill's function without running it: code that cannot run here, and calls of servers or tools that the skill
 * does not declare. What is called by a computed name is reported as such; the runner refuses it in any case.
 */
export function scanCode(code: string, declared: DeclaredTools): readonly Evidence[] {
  const program = parseProgram(code);
  if (!("type" in program)) return [{ rule: "does_not_parse", severity: "high", path: PATH, ...program }];
  const found: Evidence[] = [];
  const lines = code.split("\n");
  const add = (node: Node, rule: string, severity: Severity): void => {
    const line = node.loc?.start.line ?? 1;
    found.push({ rule, severity, path: PATH, line, excerpt: toExcerpt(lines[line - 1] ?? "") });
  };
  const callTools = namesOfCallTool(program);
  simple(program, {
    CallExpression(node) {
      const problem = isCallOf(node, callTools) ? judgeCall(node, declared) : undefined;
      if (problem !== undefined) add(node, problem, problem === "undeclared_call" ? "high" : "low");
    },
    ImportDeclaration: (node) => add(node, "import", "high"),
    ImportExpression: (node) => add(node, "import", "high"),
    Identifier(node) {
      if (node.name === "eval" || node.name === "Function") add(node, "dynamic_code", "medium");
    },
  });
  return found;
}

interface ParseProblem {
  readonly line: number;
  readonly excerpt: string;
}

function parseProgram(code: string): Program | ParseProblem {
  try {
    return parse(code, { ecmaVersion: "latest", sourceType: "module", locations: true });
  } catch (error) {
    if (error instanceof RangeError) return { line: 1, excerpt: "nests too deeply" };
    if (!(error instanceof SyntaxError)) throw error;
    const line = Number(/\((\d+):\d+\)$/.exec(error.message)?.[1] ?? 1);
    return { line, excerpt: toExcerpt(error.message) };
  }
}

/** `callTool`, and the names it is given by destructuring (`{ callTool: call }`) or assignment. */
function namesOfCallTool(program: Program): ReadonlySet<string> {
  const names = new Set(["callTool"]);
  simple(program, {
    ObjectPattern({ properties }) {
      for (const property of properties) {
        if (property.type !== "Property" || property.key.type !== "Identifier") continue;
        if (property.key.name === "callTool" && property.value.type === "Identifier") names.add(property.value.name);
      }
    },
    VariableDeclarator({ id, init }) {
      const isAlias = init?.type === "Identifier" && names.has(init.name);
      if (id.type === "Identifier" && isAlias) names.add(id.name);
    },
  });
  return names;
}

function isCallOf({ callee }: CallExpression, names: ReadonlySet<string>): boolean {
  if (callee.type === "Identifier") return names.has(callee.name);
  return (
    callee.type === "MemberExpression" && callee.property.type === "Identifier" && callee.property.name === "callTool"
  );
}

function judgeCall(node: CallExpression, declared: DeclaredTools): string | undefined {
  const [server, tool] = node.arguments.map(literalOf);
  if (server === undefined) return "computed_call";
  if (tool === undefined) return declared.servers.includes(server) ? "computed_call" : "undeclared_call";
  return findUndeclared(declared, server, tool) === undefined ? undefined : "undeclared_call";
}

function literalOf(node: Node): string | undefined {
  return node.type === "Literal" && "value" in node && typeof node.value === "string" ? node.value : undefined;
}
