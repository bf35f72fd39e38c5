import type { Member } from "../domain/member.ts";
import type { Organization } from "../domain/organization.ts";
import type { PolicyIndex } from "../policy/policy-index.ts";
import { couldBeAllowed, type Caller, type Target } from "./decide.ts";
import { itemsAt, memberOf, textAt, valueAt, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { Action } from "../domain/policy.ts";
import type { ListKind } from "./methods.ts";
import type { Edit } from "./splice.ts";
import { couldPass } from "./policy-decision.ts";
import type { AssignmentView, ServerView } from "../snapshot/snapshot.ts";

interface EntryRule {
  readonly action: Action;
  readonly type: Target["type"];
  readonly nameMember: string;
}

const ENTRY_RULES: Readonly<Record<Exclude<ListKind, "tasks">, EntryRule>> = {
  tools: { action: "call_tool", type: "tool", nameMember: "name" },
  prompts: { action: "get_prompt", type: "prompt", nameMember: "name" },
  resources: { action: "read_resource", type: "resource", nameMember: "uri" },
  resourceTemplates: { action: "read_resource", type: "resource", nameMember: "uriTemplate" },
};

/** 2026-07-28: how long a client may keep a filtered list. Rights change sooner than servers. */
const LIST_TTL_MS_MAX = 5000;

interface CachedList {
  readonly source: Buffer;
  readonly filtered: Buffer;
  /** What the filter looked at; another of these makes another list. */
  readonly policies: PolicyIndex;
  readonly organization: Organization;
  readonly member: Member | undefined;
  readonly server: ServerView;
  /** When the next policy expires, in milliseconds; Infinity if none will. */
  readonly freshUntil: number;
}

/** Views kept per assignment: `ip` and `client` are the client's own choice, so that there is no end of them. */
const VIEWS_MAX = 16;
/** More than a model takes of tools. A longer list is filtered each time: kept, it would be so once per view. */
const KEPT_BYTES_MAX = 1024 * 1024;

/**
 * Takes out of a list what the caller may not use. The entries that remain keep their bytes. One result is kept per view and
 * list, so that an unchanged list is compared, not filtered again.
 */
export class ListFilter {
  readonly #cache = new WeakMap<AssignmentView, Map<string, CachedList>>();

  /** The edits that filter this answer to a list request and make it private. */
  edits(envelope: ResponseEnvelope, kind: Exclude<ListKind, "tasks">, viewer: Viewer): Edit[] {
    const { bytes } = envelope;
    const list = memberOf(envelope.result, kind);
    if (list === undefined) return [];
    const filtered = this.#filtered(bytes.subarray(list.start, list.end), kind, viewer);
    return [{ start: list.start, end: list.end, text: filtered }, ...cacheEdits(envelope)];
  }

  #filtered(source: Buffer, kind: Exclude<ListKind, "tasks">, { caller, nowMs }: Viewer): Buffer {
    if (source.length > KEPT_BYTES_MAX) return filterEntries(source, ENTRY_RULES[kind], { caller, nowMs });
    const views = this.#cache.get(caller.assignment) ?? new Map<string, CachedList>();
    this.#cache.set(caller.assignment, views);
    const key = JSON.stringify([kind, caller.ip, caller.client]);
    const known = views.get(key);
    const view = toView(caller);
    if (known !== undefined && isSameView(known, view, nowMs) && known.source.equals(source)) return known.filtered;
    const filtered = filterEntries(source, ENTRY_RULES[kind], { caller, nowMs });
    views.delete(key);
    views.set(key, { ...view, ...toKept(views, { source, filtered }), freshUntil: nextExpiry(view.policies, nowMs) });
    const [oldest] = views.keys();
    if (views.size > VIEWS_MAX && oldest !== undefined) views.delete(oldest);
    return filtered;
  }
}

type Bytes = Pick<CachedList, "source" | "filtered">;

/** Views mostly hold the same bytes: one copy serves all of them. The source itself is a window into a message, which it would keep. */
function toKept(views: ReadonlyMap<string, Bytes>, { source, filtered }: Bytes): Bytes {
  const known = [...views.values()].flatMap((view) => [view.source, view.filtered]);
  const copy = known.find((bytes) => bytes.equals(source)) ?? Buffer.from(source);
  return { source: copy, filtered: [copy, ...known].find((bytes) => bytes.equals(filtered)) ?? filtered };
}

/** Who looks at a list, and when. */
interface Viewer {
  readonly caller: Caller;
  readonly nowMs: number;
}

type View = Omit<CachedList, "source" | "filtered" | "freshUntil">;

function toView({ snapshot, agent, server }: Caller): View {
  const { policies, organization, memberById } = snapshot;
  const { owner } = agent.agent;
  return { policies, organization, server, member: owner === null ? undefined : memberById.get(owner) };
}

function isSameView(known: CachedList, view: View, nowMs: number): boolean {
  return (
    known.policies === view.policies &&
    known.organization === view.organization &&
    known.member === view.member &&
    known.server === view.server &&
    nowMs < known.freshUntil
  );
}

function nextExpiry({ policies }: PolicyIndex, nowMs: number): number {
  let next = Infinity;
  for (const { expiresAtMs = Infinity } of policies.values()) {
    if (expiresAtMs > nowMs && expiresAtMs < next) next = expiresAtMs;
  }
  return next;
}

/** A name that is listed again would be a second definition that nobody compared or judged: the first stands, as in the registry. */
function filterEntries(source: Buffer, rule: EntryRule, viewer: Viewer): Buffer {
  const names = new Set<string>();
  const kept = itemsAt(source, { start: 0, end: source.length }).filter((item) => {
    const name = textAt(source, memberOf(item, rule.nameMember));
    if (name === undefined || !name.isWellFormed() || names.has(name)) return false;
    names.add(name);
    return isVisible(name, { rule, ...viewer });
  });
  const pieces = kept.flatMap((item, index) => [
    Buffer.from(index === 0 ? "" : ","),
    source.subarray(item.start, item.end),
  ]);
  return Buffer.concat([Buffer.from("["), ...pieces, Buffer.from("]")]);
}

function isVisible(name: string, { rule, caller, nowMs }: Viewer & { readonly rule: EntryRule }): boolean {
  const question = { action: rule.action, target: { type: rule.type, name } };
  if (rule.nameMember === "uriTemplate") return couldMatchTemplate(name, caller) && couldPass(caller, question, nowMs);
  return couldBeAllowed(caller, question, nowMs);
}

/** Whether some resource of the template could be assigned: its fixed beginning and that of a glob must be able to agree. */
function couldMatchTemplate(template: string, { assignment }: Caller): boolean {
  const globs = assignment.assignment.resources;
  if (globs === null) return true;
  const fixed = template.split("{", 1)[0] ?? "";
  return globs.some((glob) => {
    const beginning = glob.split("*", 1)[0] ?? "";
    return glob.includes("*") ? fixed.startsWith(beginning) || beginning.startsWith(fixed) : glob.startsWith(fixed);
  });
}

function cacheEdits({ bytes, result }: ResponseEnvelope): Edit[] {
  const edits: Edit[] = [];
  const ttl = memberOf(result, "ttlMs");
  const ttlMs = valueAt(bytes, ttl);
  if (ttl !== undefined && !(typeof ttlMs === "number" && ttlMs <= LIST_TTL_MS_MAX))
    edits.push({ start: ttl.start, end: ttl.end, text: String(LIST_TTL_MS_MAX) });
  const scope = memberOf(result, "cacheScope");
  if (scope !== undefined) edits.push({ start: scope.start, end: scope.end, text: '"private"' });
  return edits;
}
