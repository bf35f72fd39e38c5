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

type Object = { readonly members: readonly Member[] } | undefined;

/** The edits that give the upstream its own handles back. Throws `RpcRefusal` for one that was not issued to this agent here. */
export function openHandles(envelope: Envelope, scope: HandleScope, keeper: HandleKeeper): Edit[] {
  return findHandles(envelope, bodyOf(envelope)).map(({ kind, at, text }) => {
    const opened = keeper.sealer.open(kind, scope, text);
    if (opened === undefined) throw unknownHandle(kind);
    return { ...at, text: JSON.stringify(kind === "task" ? splitTask(opened).taskId : opened) };
  });
}

/** The edits that seal what an upstream issues. `tool` is the tool whose call is answered, if it is one. */
export function sealHandles(
  envelope: Envelope,
  { scope, tool }: { scope: HandleScope; tool: string | undefined },
  keeper: HandleKeeper,
): Edit[] {
  return findHandles(envelope, bodyOf(envelope)).flatMap(({ kind, at, text }): Edit[] => {
    if (kind !== "task") return [{ ...at, text: JSON.stringify(keeper.sealer.seal(kind, scope, text)) }];
    const owner = keeper.issuedTasks.toolOf(scope, text) ?? tool ?? "";
    if (owner !== "") keeper.issuedTasks.remember(scope, text, owner);
    return [{ ...at, text: JSON.stringify(keeper.sealer.seal("task", scope, `${owner}\n${text}`)) }];
  });
}

/** The tool that a sealed task id was issued for. */
export function toolOfTask(sealed: string, scope: HandleScope, { sealer }: HandleKeeper): string | undefined {
  const opened = sealer.open("task", scope, sealed);
  return opened === undefined ? undefined : splitTask(opened).tool;
}

function splitTask(opened: string): { readonly tool: string; readonly taskId: string } {
  const at = opened.indexOf("\n");
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
