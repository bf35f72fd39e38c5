import { parse } from "acorn";
import { EvalFlags, QuickJS } from "quickjs-wasi";
import { createLruCache } from "../../lib/lru-cache.ts";
import { GUEST_PRELUDE } from "./guest-prelude.ts";
import { guestWasi } from "./guest-wasi.ts";

/** File name of the skill's function in stack lines. */
export const SKILL_FILE = "skill.js";

/** The code is no ES module that can run here; the message says why and, for a syntax error, where. */
export class SkillCodeError extends Error {}

const BYTECODES_MAX = 64;
const COMPILER_MEMORY_BYTES = 64 * 1024 * 1024;
const bytecodes = createLruCache<Uint8Array>(BYTECODES_MAX);
let prelude: Uint8Array | undefined;

export interface CompileOptions {
  readonly wasm: WebAssembly.Module;
  readonly isExpired: () => boolean;
}

/** A fresh engine that can compile. Runs get one that cannot: in theirs `eval` and `Function` do not work. */
export async function createCompiler({ wasm, isExpired }: CompileOptions): Promise<QuickJS> {
  return QuickJS.create({ wasm, memoryLimit: COMPILER_MEMORY_BYTES, interruptHandler: isExpired, wasi: guestWasi });
}

/** The bytecode of a skill that was compiled before, while it is kept. */
export function findBytecode(code: string): Uint8Array | undefined {
  return bytecodes.get(code);
}

/** Compiles a skill in a compiler of its own (never reused: a parser bug must not reach another skill). */
export function compileSkill(compiler: QuickJS, code: string): Uint8Array {
  try {
    const bytecode = compiler.compile(code, SKILL_FILE, EvalFlags.TYPE_MODULE);
    bytecodes.set(code, bytecode);
    return bytecode;
  } catch (error) {
    throw new SkillCodeError(compileMessage(code, error), { cause: error });
  }
}

/** The bytecode of our own part of the sandbox, compiled once per worker. */
export async function loadPrelude(wasm: WebAssembly.Module): Promise<Uint8Array> {
  if (prelude !== undefined) return prelude;
  const compiler = await createCompiler({ wasm, isExpired: () => false });
  prelude = compiler.compile(GUEST_PRELUDE, "prelude.js", EvalFlags.TYPE_GLOBAL);
  compiler.dispose();
  return prelude;
}

/** The engine names no line for a syntax error, so a parser that does is asked again. */
function compileMessage(code: string, error: unknown): string {
  const engineMessage = error instanceof Error ? error.message.replace("Compilation error: ", "") : String(error);
  if (engineMessage.includes("could not load module")) {
    return "`import` is not available in a skill; put what it needs into the code";
  }
  return syntaxProblem(code) ?? engineMessage;
}

function syntaxProblem(code: string): string | undefined {
  try {
    parse(code, { ecmaVersion: "latest", sourceType: "module" });
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) return "it nests too deeply";
    const [, message = error.message, line = "?", column = "?"] = /^(.*) \((\d+):(\d+)\)$/.exec(error.message) ?? [];
    return `line ${line}, column ${column}: ${message.toLowerCase()}`;
  }
}
