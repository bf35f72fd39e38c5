import type { Caller } from "./context.ts";

/** The caller as a row remembers it. */
export function createdBy({ actor }: Caller): { readonly type: string; readonly id: string; readonly name: string } {
  return { type: actor.type, id: actor.id, name: actor.name };
}
