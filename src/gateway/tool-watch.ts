import { createHash } from "node:crypto";
import type { ToolDefinition } from "../domain/server.ts";
import { TOOL_NAME_CHARACTERS_MAX } from "../domain/tool-definition.ts";
import { createLruCache, type LruCache } from "../lib/lru-cache.ts";
import type { Caller } from "./decide.ts";
import { memberOf, textAt, valueAt, type RequestEnvelope, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { Member as Span } from "./envelope/json-scanner.ts";
import type { Exchange } from "./exchange.ts";

/** A list that stays as it is is told of so often: what is known of it elsewhere may have changed meanwhile. */
const REPEAT_MS = 10 * 60_000;

/** Pages whose last content is known; one that is forgotten is told of once more. */
const PAGES_MAX = 2000;

/** Walks that stand between two pages. A walk that is forgotten, or names more than this, is not known to be complete. */
const WALKS_MAX = 100;
const WALK_CHARACTERS_MAX = 256 * 1024;

/** From the first page to the last: meanwhile the first ones may have gained tools, which the end would show as gone. */
const WALK_MS = 60_000;

/** What an agent has read of a list in pages. */
interface Walk {
  /** Chained over the pages: what an earlier page shows makes the last one another. */
  readonly digest: string;
  /** How many there were. Cursors do not tell one page from another: some servers make a new one for each list. */
  readonly pages: number;
  readonly beganAt: number;
  /** Undefined where a page was not seen. */
  readonly names: ReadonlySet<string> | undefined;
}

const BEGINNING = { digest: "", pages: 0, names: new Set<string>() };
const BROKEN_OFF = { digest: "broken off", pages: 0, names: undefined };

interface Page {
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
  readonly list: Span;
}

/** Tells the observer what upstreams list as their tools, page by page; only a walk from the beginning to the end shows what is gone. */
export class ToolWatch {
  readonly #seen: LruCache<{ readonly digest: string; readonly at: number }> = createLruCache(PAGES_MAX);
  readonly #walks: LruCache<Walk> = createLruCache(WALKS_MAX);

  observe(answer: ResponseEnvelope, request: RequestEnvelope, exchange: Exchange): void {
    const { context, caller } = exchange;
    const page = toPage(answer, request, exchange);
    if (page === undefined || context.observer === undefined) return;
    const { id } = caller.server.server;
    const now = context.clock.now();
    const isLast = page.nextCursor === undefined;
    const walk = this.#walkTo(caller, page, now);
    const listed = answer.bytes.subarray(page.list.start, page.list.end);
    const digest = hash(walk.digest, isLast ? "last" : "page", listed);
    const isKnown = this.#isKnown(placeOf(id, walk), digest, now);
    if (isKnown && isLast) return;
    const tools = toDefinitions(valueAt(answer.bytes, page.list));
    if (page.nextCursor !== undefined)
      this.#walks.set(keyOf(caller, page.nextCursor), {
        digest,
        pages: walk.pages + 1,
        beganAt: walk.beganAt,
        names: withNames(walk.names, tools),
      });
    if (!isKnown) context.observer.toolsListed(id, { tools, earlier: isLast ? walk.names : undefined });
  }

  #walkTo(caller: Caller, { cursor, nextCursor }: Page, now: number): Walk {
    if (cursor === undefined) return { ...BEGINNING, beganAt: now };
    const key = keyOf(caller, cursor);
    const walk = this.#walks.get(key);
    // At its end it has told what is gone: the same cursor given again would tell it of a list that has grown since.
    if (nextCursor === undefined) this.#walks.delete(key);
    return walk !== undefined && now - walk.beganAt <= WALK_MS ? walk : { ...BROKEN_OFF, beganAt: now };
  }

  #isKnown(key: string, digest: string, now: number): boolean {
    const seen = this.#seen.get(key);
    if (seen?.digest === digest && now - seen.at < REPEAT_MS) return true;
    this.#seen.set(key, { digest, at: now });
    return false;
  }
}

function toPage(
  { bytes, result }: ResponseEnvelope,
  request: RequestEnvelope,
  { context, scope }: Exchange,
): Page | undefined {
  const list = memberOf(result, "tools");
  if (list === undefined) return undefined;
  const given = cursorAt(request.bytes, memberOf(request.params, "cursor"));
  // The client was given a seal for it; the answer is seen as the upstream wrote it.
  const cursor = given === undefined ? undefined : (context.sealer.open("cursor", scope, given) ?? given);
  return { list, cursor, nextCursor: cursorAt(bytes, memberOf(result, "nextCursor")) };
}

function keyOf({ server, agent }: Caller, cursor: string): string {
  return `${server.server.id} ${agent.agent.id} ${hash(cursor)}`;
}

/** Whatever stands there may be a cursor to some client; only `null` is none. */
function cursorAt(bytes: Buffer, span: Span | undefined): string | undefined {
  const written = span === undefined ? "null" : bytes.toString("utf8", span.start, span.end);
  return written === "null" ? undefined : (textAt(bytes, span) ?? written);
}

/** Where a page stands in a list, which holds another page than before once the list has changed. */
function placeOf(serverId: string, { names, pages }: Walk): string {
  return `${serverId} ${names === undefined ? "part" : "whole"} ${pages}`;
}

function withNames(names: Walk["names"], tools: readonly ToolDefinition[]): Walk["names"] {
  if (names === undefined) return undefined;
  const all = new Set([...names, ...tools.map(({ name }) => name)]);
  let characters = 0;
  for (const name of all) characters += name.length;
  return characters <= WALK_CHARACTERS_MAX ? all : undefined;
}

function hash(...parts: readonly (string | Buffer)[]): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part);
  return sum.digest("hex");
}

function toDefinitions(tools: unknown): ToolDefinition[] {
  if (!Array.isArray(tools)) return [];
  return tools.filter(isDefinition);
}

function isTextOrUnset(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

/** The same that discovery keeps, so that both see one list; what is unknown stays, because the digest covers it. */
function isDefinition(tool: unknown): tool is ToolDefinition {
  if (typeof tool !== "object" || tool === null || !("name" in tool) || typeof tool.name !== "string") return false;
  const { title, description, annotations } = {
    title: undefined,
    description: undefined,
    annotations: undefined,
    ...tool,
  };
  const isObjectOrUnset = annotations === undefined || (typeof annotations === "object" && annotations !== null);
  return (
    tool.name.length <= TOOL_NAME_CHARACTERS_MAX &&
    tool.name.isWellFormed() &&
    isTextOrUnset(title) &&
    isTextOrUnset(description) &&
    isObjectOrUnset
  );
}
