import { createRequire } from "node:module";
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";
import { AppError } from "../lib/errors.ts";

type CedarLibrary = typeof Cedar;

const require = createRequire(import.meta.url);
let loaded: CedarLibrary | undefined;

/**
 * Runs one call of the Cedar library, which is loaded at its first use: 12 MB of WebAssembly that only writing a policy
 * needs, never a message. A text that exhausts its stack breaks the whole instance, so that one is thrown away and the
 * text refused with `invalid_input`.
 */
export function withCedar<Answer>(call: (cedar: CedarLibrary) => Answer): Answer {
  try {
    loaded ??= load();
    return call(loaded);
  } catch (error) {
    if (!(error instanceof Error) || !EXHAUSTION.has(error.name)) throw error;
    loaded = undefined;
    throw new AppError("invalid_input", "the policy nests too deeply; use sets, or split it into several policies", {
      details: { field: "cedar" },
      cause: error,
    });
  }
}

/** Its own stack inside WebAssembly (`RuntimeError`), or the engine's around it (`RangeError`). */
const EXHAUSTION: ReadonlySet<string> = new Set(["RuntimeError", "RangeError"]);

function load(): CedarLibrary {
  const path = require.resolve("@cedar-policy/cedar-wasm/nodejs");
  delete require.cache[path];
  const library: CedarLibrary = require(path);
  return library;
}
