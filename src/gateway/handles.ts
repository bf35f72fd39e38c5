import type { ClientTasks, ClientTaskScope } from "./client-tasks.ts";
import {
  itemsAt,
  memberOf,
  membersAt,
  RELATED_TASK,
  textAt,
  type Envelope,
  type NotificationEnvelope,
  type RequestEnvelope,
  type ResponseEnvelope,
} from "./envelope/envelope.ts";
import type { Member, Span } from "./envelope/json-scanner.ts";
import type { IssuedTasks } from "./issued-tasks.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import type { HandleKind, HandleScope, Sealer } from "./seal.ts";
import type { Edit } from "./splice.ts";

export interface HandleKeeper {
  readonly sealer: Sealer;
  readonly issuedTasks: IssuedTasks;
}

export interface TaskKeeper extends HandleKeeper {
  readonly clientTasks: ClientTasks;
}

/** A handle in a message, where it stands and of which kind it is. */
interface Found {
  readonly kind: HandleKind;
  readonly at: Span;
  readonly text: string;
  /** In `_meta`: of the task that the message belongs to. */
  readonly isRelated: boolean;
}

/** A handle that was not issued to this agent here. */
export class UnknownHandle extends RpcRefusal {
  constructor(kind: HandleKind) {
    const names: Partial<Record<HandleKind, string>> = { task: "taskId", state: "requestState", cursor: "cursor" };
    const message = `\`${names[kind] ?? kind}\` is not one that this server gave to you; start again without it`;
    super({ status: 200, code: RPC_CODES.invalidParams, message });
  }
}

/** Stands for a task id that is kept back; being unsealed, it opens nothing. */
const UNKNOWN_TASK = JSON.stringify("unknown");

type Object = { readonly members: readonly Member[] } | undefined;

/** The edits that give the upstream its own handles back. Throws `UnknownHandle` for one that was not issued to this agent here. */
export function openHandles(envelope: Envelope, scope: HandleScope, keeper: HandleKeeper): Edit[] {
  return findHandles(envelope).map((found) => openHandle(found, scope, keeper));
}

/**
 * The same for answers and notifications of a client, which may be about tasks that it runs for the upstream: their ids are its
 * own and stay as they are.
 */
export function openHandlesOfOthers(
  envelope: ResponseEnvelope | NotificationEnvelope,
  scope: ClientTaskScope,
  keeper: TaskKeeper,
): Edit[] {
  const isOwn = ({ kind, text, isRelated }: Found): boolean =>
    (envelope.kind === "response" && !isRelated) || (kind === "task" && keeper.clientTasks.has(scope, text));
  return findHandles(envelope)
    .filter((found) => !isOwn(found))
    .map((found) => openHandle(found, scope, keeper));
}

/** Remembers the tasks that a client's answer tells of, so that the upstream may ask about them. */
export function rememberClientTasks(envelope: ResponseEnvelope, scope: ClientTaskScope, keeper: TaskKeeper): void {
  for (const { kind, text, isRelated } of findHandles(envelope))
    if (kind === "task" && !isRelated) keeper.clientTasks.remember(scope, text);
}

/** Whether an upstream asks about tasks that the client runs for it in this session, and about no other. Their ids stay as they are. */
export function namesClientTasks(envelope: RequestEnvelope, scope: ClientTaskScope, keeper: TaskKeeper): boolean {
  return findHandles(envelope).every(({ kind, text }) => kind !== "task" || keeper.clientTasks.has(scope, text));
}

function openHandle({ kind, at, text }: Found, scope: HandleScope, keeper: HandleKeeper): Edit {
  const opened = keeper.sealer.open(kind, scope, text);
  if (opened === undefined) throw new UnknownHandle(kind);
  if (kind !== "task") return { ...at, text: JSON.stringify(opened) };
  const task = splitTask(opened);
  if (task === undefined) throw new UnknownHandle(kind);
  // Its handle tells whose it is, even where we have forgotten: after a restart, or at another node.
  keeper.issuedTasks.remember(scope, task.taskId, task.tool);
  return { ...at, text: JSON.stringify(task.taskId) };
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
  return findHandles(envelope).flatMap(({ kind, at, text }): Edit[] => {
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
  if (!findHandles(envelope).every(isOwn)) return undefined;
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

function findHandles(envelope: Envelope): Found[] {
  const { bytes } = envelope;
  const body = bodyOf(envelope);
  if (body === undefined) return [];
  const found: Found[] = [];
  const add = (kind: HandleKind, parent: Object, name: string): void => {
    const at = memberOf(parent, name);
    const text = textAt(bytes, at);
    // To clients that test it for truth an empty cursor is none, and sealed it would be one.
    if (kind === "cursor" && text === "") return;
    if (at !== undefined && text !== undefined) found.push({ kind, at, text, isRelated: false });
  };
  add("cursor", body, "cursor");
  add("cursor", body, "nextCursor");
  add("state", body, "requestState");
  add("task", body, "taskId");
  add("task", { members: membersAt(bytes, memberOf(body, "task")) }, "taskId");
  for (const item of itemsAt(bytes, memberOf(body, "tasks"))) add("task", item, "taskId");
  const meta = { members: membersAt(bytes, memberOf(body, "_meta")) };
  const related = { members: membersAt(bytes, memberOf(meta, RELATED_TASK)) };
  const at = memberOf(related, "taskId");
  const text = textAt(bytes, at);
  if (at !== undefined && text !== undefined) found.push({ kind: "task", at, text, isRelated: true });
  return found;
}
