import type { ServerContext } from "@modelcontextprotocol/server";
import type { DecisionDraft } from "../../domain/audit-event.ts";
import { RpcRefusal } from "../rpc-refusal.ts";
import type { ServerParts } from "./aggregate-server.ts";
import type { Connection } from "./connections.ts";
import { GATEWAY_RESOURCE, toAggregateDraft } from "./record.ts";
import type { SkillAsker } from "./skill-decision.ts";

/** A request of a client, and what answers it. */
export interface Handling {
  readonly parts: ServerParts;
  readonly connection: Connection;
  readonly request: ServerContext;
}

/** Of an answer that the agent's unread ones left no room for. */
export const DROPPED = { outcome: "error", reason: "unread_answers" } as const;

/** For what is not carried out, or not told, to an agent that leaves too much unread. */
export function noRoomRefusal(): RpcRefusal {
  return RpcRefusal.unavailable("too much that was answered before waits to be read; read it, then try again");
}

/** An answer that the gateway made itself. Throws `RpcRefusal` where the agent leaves too much unread for it. */
export function fitting<T>(answer: T, { parts, request }: Handling): T {
  if (parts.answers.makeRoom(request, sizeOf(answer))) return answer;
  throw noRoomRefusal();
}

/** The same for an answer that is recorded: given or dropped, that is in the log before anybody is told. */
export async function recordAnswer<T>(
  answer: T,
  draft: DecisionDraft,
  { parts, request, bytes = sizeOf(answer) }: Handling & { readonly bytes?: number },
): Promise<T> {
  const hasRoom = parts.answers.makeRoom(request, bytes);
  await parts.context.audit.record({ ...draft, ...(hasRoom ? { outcome: "success" } : DROPPED) });
  if (!hasRoom) throw noRoomRefusal();
  return answer;
}

/** What the log keeps of a list that the gateway made itself. */
export interface ListFacts {
  readonly event: string;
  readonly count: number;
  readonly query?: string | undefined;
}

export async function recordList<T>(
  answer: T,
  { event, count, query }: ListFacts,
  { asker, ...handling }: Handling & { readonly asker: SkillAsker },
): Promise<T> {
  const { parts, connection } = handling;
  const draft = toAggregateDraft(asker, {
    event,
    time: parts.context.clock.now(),
    resource: GATEWAY_RESOURCE,
    sessionId: connection.sessionId,
    details: { count, ...(query === undefined ? {} : { query }) },
  });
  return recordAnswer(answer, draft, handling);
}

/** About how many bytes an answer will have. */
export function sizeOf(answer: unknown): number {
  return JSON.stringify(answer).length;
}
