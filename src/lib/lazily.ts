import { flushCompileCache } from "node:module";

/**
 * A part of the program that is loaded at its first use, not at the start: `lazily(() => import("./part.ts"))`. Who calls early shares
 * one load; one that failed is tried again. The compiled code is kept at once, because a process that is killed could not do it at its end.
 */
export function lazily<Part>(load: () => Promise<Part>): () => Promise<Part> {
  let loading: Promise<Part> | undefined;
  return () => {
    loading ??= load().then(
      (part) => {
        setImmediate(flushCompileCache);
        return part;
      },
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
}
