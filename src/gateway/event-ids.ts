import type { Exchange } from "./exchange.ts";

export interface EventPlace {
  /** The upstream's own. */
  readonly id: string;
  /** Of the call on whose stream the id was given; undefined for a stream on which the upstream speaks on its own. */
  readonly callKey: string | undefined;
}

/** What a client resumes from: an id for its session alone, that tells which call it belongs to. */
export function sealEventId(id: string, { context, scope, session, callKey }: Exchange): string {
  return context.sealer.seal("event", scope, `${session?.upstreamId ?? ""}\n${callKey ?? ""}\n${id}`);
}

/** Undefined for an id that was not given to this agent in this session. */
export function openEventId(sealed: string, { context, scope, session }: Exchange): EventPlace | undefined {
  // No part holds a line break: each came in a line, of a head or of a stream.
  const [upstreamId, callKey, id] = context.sealer.open("event", scope, sealed)?.split("\n") ?? [];
  if (id === undefined || upstreamId !== (session?.upstreamId ?? "")) return undefined;
  return { id, callKey: callKey === "" ? undefined : callKey };
}
