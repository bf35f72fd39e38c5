import type { ApprovedCall } from "./continuations.ts";
import { disownError } from "./disown-error.ts";
import { memberOf, textAt, valueAt, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { sealHandles } from "./handles.ts";
import { itemsAt } from "./envelope/envelope.ts";
import type { CallEnd, PendingCall } from "./pending-call.ts";
import { refuseResult } from "./refuse-result.ts";
import { splice, type Edit } from "./splice.ts";

const MINUTE_MS = 60_000;

/** The answer as the client gets it, and what it means for the log. */
export interface FinishedAnswer {
  readonly bytes: Buffer;
  readonly end: CallEnd;
}

/** Filters lists, seals handles and reads the outcome. Bytes that need no change are the upstream's own. */
export function finishAnswer(envelope: ResponseEnvelope, pending: PendingCall, exchange: Exchange): FinishedAnswer {
  const { context, caller, scope } = exchange;
  const { approved, rule } = pending.facts;
  const { list } = rule;
  const refused = refuseResult(envelope, pending, exchange);
  if (refused !== undefined) return refused;
  if (approved !== undefined) noteContinuation(envelope, approved, exchange);
  const edits: Edit[] = [];
  if (list === "tasks") edits.push(...ownTasks(envelope, exchange));
  else edits.push(...sealHandles(envelope, { scope, tool: pending.facts.tool }, context));
  if (list !== undefined && list !== "tasks")
    edits.push(...context.lists.edits(envelope, list, { caller, nowMs: context.clock.now() }));
  if (list === "tools") context.toolWatch.observe(envelope, pending.facts.envelope, exchange);
  edits.push(...disownError(envelope));
  return { bytes: splice(envelope.bytes, edits), end: outcomeOf(envelope) };
}

/** What the upstream asks back may be answered as long as an approval that is given now may be used. */
function noteContinuation(envelope: ResponseEnvelope, approved: ApprovedCall, { context, caller }: Exchange): void {
  const ttlMs = caller.snapshot.organization.settings.approvalTtlMinutes * MINUTE_MS;
  context.continuations.note(envelope, approved, context.clock.now() + ttlMs);
}

/** Only the tasks that this agent was given; with one credential for all agents an upstream may tell of others' too. */
function ownTasks(envelope: ResponseEnvelope, { context, scope }: Exchange): Edit[] {
  const { bytes } = envelope;
  const list = memberOf(envelope.result, "tasks");
  const edits: Edit[] = [];
  const cursor = memberOf(envelope.result, "nextCursor");
  const cursorText = textAt(bytes, cursor);
  if (cursor !== undefined && cursorText !== undefined && cursorText !== "")
    edits.push({ ...cursor, text: JSON.stringify(context.sealer.seal("cursor", scope, cursorText)) });
  if (list === undefined) return edits;
  const own = itemsAt(bytes, list).flatMap((item) => {
    const id = memberOf(item, "taskId");
    const text = textAt(bytes, id);
    const tool = text === undefined ? undefined : context.issuedTasks.toolOf(scope, text);
    if (id === undefined || text === undefined || tool === undefined) return [];
    const sealed = JSON.stringify(context.sealer.seal("task", scope, `${tool}\n${text}`));
    const window = bytes.subarray(item.start, item.end);
    return [
      splice(window, [{ start: id.start - item.start, end: id.end - item.start, text: sealed }]).toString("utf8"),
    ];
  });
  edits.push({ start: list.start, end: list.end, text: `[${own.join(",")}]` });
  return edits;
}

function outcomeOf({ bytes, result, error }: ResponseEnvelope): CallEnd {
  if (result === undefined) {
    const code = valueAt(bytes, memberOf({ members: error?.members ?? [] }, "code"));
    return {
      outcome: "error",
      reason: "rpc_error",
      details: typeof code === "number" ? { errorCode: code } : undefined,
    };
  }
  // No client can read it; which other results are unfit depends on the method and the revision.
  if (bytes[result.start] !== 0x7b)
    return { outcome: "error", reason: "upstream_refused", details: { fault: "its result is no object" } };
  const isError = memberOf(result, "isError");
  if (isError !== undefined && valueAt(bytes, isError) === true) return { outcome: "error", reason: "tool_error" };
  return { outcome: "success" };
}
