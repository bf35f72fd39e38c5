import type { AuditEvent, AuditEventDraft, Outcome, UnplacedEvent } from "../domain/audit-event.ts";
import type { Page, PageRequest } from "../lib/paging.ts";

/* What the rest of the program asks of a database about the audit log; the rules of `ports.ts` apply. */

export interface AuditFilter {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Id or name of the actor. */
  readonly actor?: string | undefined;
  readonly actorType?: string | undefined;
  /** Exact actions, or prefixes that end with a dot. */
  readonly actions?: readonly string[] | undefined;
  /** Id or name of the resource. */
  readonly resource?: string | undefined;
  readonly resourceType?: string | undefined;
  /** Ids as recorded with the event: its resource of that type, else `details.server` or `details.agent` (`{id, name}`), else its actor. */
  readonly serverId?: string | undefined;
  readonly agentId?: string | undefined;
  /** Only events of the agents that this member answers for now. */
  readonly agentOwner?: string | undefined;
  readonly outcome?: Outcome | undefined;
  readonly policyId?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly sessionId?: string | undefined;
  /** Part of action, actor name, resource name or reason. */
  readonly query?: string | undefined;
}

export interface AuditGroup {
  readonly key: string;
  /** What kind of actor or resource; of an action itself. */
  readonly type: string;
  /** As the last event has it. */
  readonly name: string;
  readonly events: number;
  readonly allowed: number;
  readonly denied: number;
  readonly errors: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** A recorded call of a tool, as much of it as a replay needs. */
export interface RecordedToolCall {
  readonly seq: number;
  readonly time: number;
  readonly agentId: string;
  readonly agentName: string;
  /** `<server>/<tool>`, as it was called then. */
  readonly resourceName: string;
  readonly reason: string | undefined;
  readonly ip: string | undefined;
  readonly client: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface AuditRepository {
  /** Appends a finished event to the staging table, in the caller's transaction. */
  stage(draft: AuditEventDraft): Promise<void>;
  /** The oldest staged events, in the order in which they were staged. */
  takeStaged(limit: number): Promise<readonly UnplacedEvent[]>;
  /** Appends events to the log, from `firstSeq` on, with their leaves. Staged ones MUST have been taken in the same transaction. */
  append(events: readonly UnplacedEvent[], firstSeq: number): Promise<void>;
  /** The ids of those decisions whose events are in the log. */
  recordedOf(decisions: readonly Pick<AuditEventDraft, "id" | "time">[]): Promise<readonly string[]>;
  /** `seq` of the last recorded event, 0 for an empty log. */
  lastSeq(): Promise<number>;
  /** The page key is the `seq` as decimal text. */
  list(filter: AuditFilter, page: PageRequest & { readonly order: "asc" | "desc" }): Promise<Page<AuditEvent>>;
  /** Calls of tools since `from`, the newest first, behind the given one. */
  toolCalls(page: {
    readonly from: number;
    readonly limit: number;
    readonly after?: Pick<RecordedToolCall, "time" | "seq"> | undefined;
  }): Promise<readonly RecordedToolCall[]>;
  group(filter: AuditFilter, by: "actor" | "action" | "resource", page: PageRequest): Promise<Page<AuditGroup>>;
}
