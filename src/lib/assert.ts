/**
 * States an invariant of our own code. A violation is a bug: it ends the request with `internal` and is never caught to
 * continue. Input from outside is checked with a schema and an `AppError` instead.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant violated: ${message}`);
}
