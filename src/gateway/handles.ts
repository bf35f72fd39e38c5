import { itemsAt, memberOf, membersAt, RELATED_TASK, textAt, type Envelope } from "./envelope/envelope.ts";
import type { Member, Span } from "./envelope/json-scanner.ts";
import type { IssuedTasks } from "./issued-tasks.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import type { HandleKind, HandleScope, Sealer } from "./seal.ts";
import type { Edit } from "./splice.ts";

export interface HandleKeeper {
  readonly sealer: Sealer;
  readonly issuedTasks: IssuedTasks;
}

/** A handle in a message, where it stands and of which kind it is. */
interface Found {
  readonly kind: HandleKind;
  readonly at: Span;
  readonly text: string;
}

/** Stands for a task id that is kept back; being unsealed, it opens nothing. */
const UNKNOWN_TASK = JSON.stringify("unknown");

type Object = { readonly members: readonly Member[] } | undefined;

/** The edits that give the upstream its own handles back. Throws `RpcRefusal` for one that was not issued to this agent here. */
export function openHandles(envelope: Envelope, scope: HandleScope, keeper: HandleKeeper): Edit[] {
  return findHandles(envelope, bodyOf(envelope)).map(({ kind, at, text }) => {
    const opened = keeper.sealer.open(kind, scope, text);
    if (opened === undefined) throw unknownHandle(kind);
    if (kind !== "task") return { ...at, text: JSON.stringify(opened) };
    const task = splitTask(opened);
    if (task === undefined) throw unknownHandle(kind);
    // Its handle tells whose it is, even where we have forgotten: after a restart, or at another node.
    keeper.issuedTasks.remember(scope, task.taskId, task.tool);
    return { ...at, text: JSON.stringify(task.taskId) };
  });
}

/**
 * The edits that seal what an upstream issues in an answer. `tool` is the tool whose call is answered, if it is one. A task of no
 * tool that we know of may be another agent's: its id is kept back.
 */
export function sealHandles(
  envelope: Envelope,
  { scope, tool }: { scope: HandleScope; tool: string | undefined },
  keeper: HandleKeeper,
): Edit[] {
  return findHandles(envelope, bodyOf(envelope)).flatMap(({ kind, at, text }): Edit[] => {
    if (kind !== "task") return [{ ...at, text: JSON.stringify(keeper.sealer.seal(kind, scope, text)) }];
    const owner = keeper.issuedTasks.toolOf(scope, text) ?? tool;
    if (owner === undefined || owner === "") return [{ ...at, text: UNKNOWN_TASK }];
    keeper.issuedTasks.remember(scope, text, owner);
    return [{ ...at, text: JSON.stringify(keeper.sealer.seal("task", scope, `${owner}\n${text}`)) }];
  });
}

/** The same for what an upstream says unasked; undefined where that is about a task that this agent was not given. */
export function sealOwnHandles(envelope: Envelope, scope: HandleScope, keeper: HandleKeeper): Edit[] | undefined {
  const isOwn = ({ kind, text }: Found): boolean =>
    kind !== "task" || keeper.issuedTasks.toolOf(scope, text) !== undefined;
  if (!findHandles(envelope, bodyOf(envelope)).every(isOwn)) return undefined;
  return sealHandles(envelope, { scope, tool: undefined }, keeper);
}

/** The tool that a sealed task id was issued for; undefined for one of no tool, which could not be decided. */
export function toolOfTask(sealed: string, scope: HandleScope, { sealer }: HandleKeeper): string | undefined {
  const opened = sealer.open("task", scope, sealed);
  return opened === undefined ? undefined : splitTask(opened)?.tool;
}

function splitTask(opened: string): { readonly tool: string; readonly taskId: string } | undefined {
  const at = opened.indexOf("\n");
  if (at < 1) return undefined;
  return { tool: opened.slice(0, at), taskId: opened.slice(at + 1) };
}

function bodyOf(envelope: Envelope): Member | undefined {
  return envelope.kind === "response" ? envelope.result : envelope.params;
}

function findHandles({ bytes }: Envelope, body: Member | undefined): Found[] {
  if (body === undefined) return [];
  const found: Found[] = [];
  const add = (kind: HandleKind, parent: Object, name: string): void => {
    const at = memberOf(parent, name);
    const text = textAt(bytes, at);
    if (at !== undefined && text !== undefined) found.push({ kind, at, text });
  };
  add("cursor", body, "cursor");
  add("cursor", body, "nextCursor");
  add("state", body, "requestState");
  add("task", body, "taskId");
  add("task", { members: membersAt(bytes, memberOf(body, "task")) }, "taskId");
  for (const item of itemsAt(bytes, memberOf(body, "tasks"))) add("task", item, "taskId");
  const meta = { members: membersAt(bytes, memberOf(body, "_meta")) };
  add("task", { members: membersAt(bytes, memberOf(meta, RELATED_TASK)) }, "taskId");
  return found;
}

function unknownHandle(kind: HandleKind): RpcRefusal {
  const names: Partial<Record<HandleKind, string>> = { task: "taskId", state: "requestState", cursor: "cursor" };
  const message = `\`${names[kind] ?? kind}\` is not one that this server gave to you; start again without it`;
  return new RpcRefusal({ status: 200, code: RPC_CODES.invalidParams, message });
}
