import { isUtf8 } from "node:buffer";
import { RpcRefusal } from "../rpc-refusal.ts";
import {
  ENTRIES_MAX,
  JsonFaultError,
  JsonScanner,
  type JsonFault,
  type Member,
  type ScanLimits,
  type Span,
} from "./json-scanner.ts";

export type RpcId = string | number;

interface Parsed {
  /** The message exactly as it came: what was decided on is what is forwarded. */
  readonly bytes: Buffer;
}

export interface RequestEnvelope extends Parsed {
  readonly kind: "request";
  readonly id: RpcId;
  /** The id exactly as written, to be echoed. */
  readonly idText: string;
  readonly method: string;
  readonly params: Member | undefined;
}

export interface NotificationEnvelope extends Parsed {
  readonly kind: "notification";
  readonly method: string;
  readonly params: Member | undefined;
}

export interface ResponseEnvelope extends Parsed {
  readonly kind: "response";
  /** Null only for an error that answers no request in particular. */
  readonly id: RpcId | null;
  readonly result: Member | undefined;
  readonly error: Member | undefined;
}

/** One JSON-RPC message (MCP has no batches on the gateway), parsed no further than a decision needs. */
export type Envelope = RequestEnvelope | NotificationEnvelope | ResponseEnvelope;

/** Deeper JSON than this is an attack on parsers, not a tool call. */
const DEPTH_MAX = 96;
/** Who calls us must be read alike by every parser, at every depth. */
const CLIENT_LIMITS: ScanLimits = { depthMax: DEPTH_MAX, collectDepth: 2, uniqueDepth: DEPTH_MAX };
/** Of an upstream's message we act on the envelope and the first level of its content only. */
const UPSTREAM_LIMITS: ScanLimits = { depthMax: 256, collectDepth: 2, uniqueDepth: 2 };

const ID_CHARACTERS_MAX = 256;
const METHOD_CHARACTERS_MAX = 128;

/** What folding leaves as it is. */
const IN_SMALL_LETTERS = /^[a-z]*$/;
const MESSAGE_NAMES = foldedNames(["jsonrpc", "id", "method", "params", "result", "error"]);
/** Names in `params` or `result` that the gateway decides, filters or seals by, whoever sends them. */
const DECIDING_NAMES =
  `_meta uri cursor nextCursor requestId progressToken requestState resultType inputRequests task tasks taskId
  tools prompts resources resourceTemplates isError`.split(/\s+/);
const UPSTREAM_NAMES = foldedNames(DECIDING_NAMES);
/** Names in `params` or `result` that some revision of the protocol gives a meaning to. */
const BODY_NAMES = foldedNames([
  ...DECIDING_NAMES,
  ...`name arguments uriTemplate ref argument context level reason progress total message protocolVersion capabilities clientInfo
  status statusMessage inputResponses notifications logger data requestedSchema elicitationId mode url messages systemPrompt
  modelPreferences includeContext temperature maxTokens stopSequences metadata toolChoice roots ttl action content role model
  stopReason`.split(/\s+/),
]);
/** Names one level further down that say what a message acts on. */
const NESTED_NAMES: readonly (readonly [string, ReadonlyMap<string, string>])[] = [
  ["ref", foldedNames(["type", "name", "uri"])],
  ["task", foldedNames(["taskId", "ttl"])],
  [
    "notifications",
    foldedNames(["resourceSubscriptions", "toolsListChanged", "promptsListChanged", "resourcesListChanged"]),
  ],
];
/** The member of `_meta` that ties a message to a task (2025-11-25, tasks). */
export const RELATED_TASK = "io.modelcontextprotocol/related-task";
const META_NAMES = foldedNames([RELATED_TASK, "progressToken", "io.modelcontextprotocol/protocolVersion"]);
const TASK_NAMES = foldedNames(["taskId"]);

/**
 * Parses a message of a client. Throws `RpcRefusal` for everything that two parsers could read differently, before anything is
 * decided: member names that repeat or that equal a protocol name but for case, bad UTF-8, a byte-order mark, a batch.
 */
export function parseEnvelope(bytes: Buffer): Envelope {
  const message = scanMessage(bytes, CLIENT_LIMITS);
  checkCase(message.members, MESSAGE_NAMES);
  for (const body of bodiesOf(message)) checkBody(bytes, body);
  return toEnvelope(bytes, message);
}

/** The members of `_meta`. Throws `RpcRefusal` for names that equal a protocol name but for case. */
export function readMeta(bytes: Buffer, body: Member | undefined): readonly Member[] {
  const members = membersAt(bytes, memberOf(body, "_meta"));
  checkCase(members, META_NAMES);
  checkCase(memberOf({ members }, RELATED_TASK)?.members ?? [], TASK_NAMES);
  return members;
}

/** A message may hold both, and only one of them is read. */
function bodiesOf({ members }: Member): readonly Member[] {
  return members.filter(({ name }) => name === "params" || name === "result");
}

function checkBody(bytes: Buffer, body: Member): void {
  checkCase(body.members, BODY_NAMES);
  for (const [name, names] of NESTED_NAMES) {
    const nested = memberOf(body, name);
    if (nested !== undefined) checkCase(membersAt(bytes, nested), names);
  }
}

/**
 * Parses a message of an upstream. Throws `RpcRefusal` where it is no JSON-RPC message, or where a client that passes over case
 * could read something in it that the gateway has not.
 */
export function parseUpstreamEnvelope(bytes: Buffer): Envelope {
  const message = scanMessage(bytes, UPSTREAM_LIMITS);
  checkCase(message.members, MESSAGE_NAMES);
  for (const { members } of bodiesOf(message)) checkCase(members, UPSTREAM_NAMES);
  return toEnvelope(bytes, message);
}

/** Members that a parser which passes over case may take for `name`. */
export function membersLike({ members }: { readonly members: readonly Member[] }, name: string): readonly Member[] {
  const folded = fold(name);
  return members.filter((member) => member.name === name || fold(member.name) === folded);
}

export function memberOf(
  parent: { readonly members: readonly Member[] } | undefined,
  name: string,
): Member | undefined {
  return parent?.members.find((member) => member.name === name);
}

/** The value at this place, built. The bytes were scanned before, so they are JSON. */
export function valueAt(bytes: Buffer, span: Span | undefined): unknown {
  if (span === undefined) return undefined;
  const value: unknown = JSON.parse(bytes.toString("utf8", span.start, span.end));
  return value;
}

/** The text at this place; undefined where there is none or it is of another type. */
export function textAt(bytes: Buffer, span: Span | undefined): string | undefined {
  if (span === undefined || bytes[span.start] !== 0x22) return undefined;
  const text = bytes.toString("utf8", span.start + 1, span.end - 1);
  if (!text.includes("\\")) return text;
  const value = valueAt(bytes, span);
  return typeof value === "string" ? value : undefined;
}

/** Members of the object at this place, and of the objects in it down to `collectDepth`; empty for other values. */
export function membersAt(bytes: Buffer, span: Span | undefined, collectDepth = 2): readonly Member[] {
  if (span === undefined || bytes[span.start] !== 0x7b) return [];
  const limits = { depthMax: UPSTREAM_LIMITS.depthMax, collectDepth, uniqueDepth: 0 };
  return scan(new JsonScanner(bytes, limits, span.start), members);
}

/**
 * Items of the array at this place with the members of each; empty for other values. Throws `RpcRefusal` where there are too many, or
 * where one can be read in two ways: an item's own names are looked at only where it matters.
 */
export function itemsAt(bytes: Buffer, span: Span | undefined): readonly Member[] {
  if (span === undefined || bytes[span.start] !== 0x5b) return [];
  const limits = { depthMax: UPSTREAM_LIMITS.depthMax, collectDepth: 1, uniqueDepth: 1 };
  return scan(new JsonScanner(bytes, limits, span.start), items);
}

function scanMessage(bytes: Buffer, limits: ScanLimits): Member {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    throw RpcRefusal.invalidRequest("the message begins with a byte-order mark; send plain UTF-8");
  if (!isUtf8(bytes)) throw RpcRefusal.invalidRequest("the message is not valid UTF-8");
  const message = scan(new JsonScanner(bytes, limits), document);
  const first = bytes[message.start];
  if (first === 0x5b) throw RpcRefusal.invalidRequest("batches are not accepted; send one message per request");
  if (first !== 0x7b) throw RpcRefusal.invalidRequest("the message is not a JSON object");
  return message;
}

const document = (scanner: JsonScanner): Member => scanner.document();
const members = (scanner: JsonScanner): readonly Member[] => scanner.next().members;
const items = (scanner: JsonScanner): readonly Member[] => scanner.items();

function scan<T>(scanner: JsonScanner, read: (scanner: JsonScanner) => T): T {
  try {
    return read(scanner);
  } catch (error) {
    if (!(error instanceof JsonFaultError)) throw error;
    throw toRefusal(error);
  }
}

function toRefusal({ fault, at }: JsonFaultError): RpcRefusal {
  const refusals: Readonly<Record<JsonFault, () => RpcRefusal>> = {
    syntax: () => RpcRefusal.parseError(`the message is not valid JSON (byte ${at})`),
    duplicate: () => RpcRefusal.invalidRequest(`an object repeats a member name (byte ${at}); send each name once`),
    surrogate: () => RpcRefusal.invalidRequest(`a member name holds half of a surrogate pair (byte ${at})`),
    depth: () => RpcRefusal.invalidRequest(`the message is nested too deeply (byte ${at})`),
    entries: () => RpcRefusal.invalidRequest(`a list or an object has more than ${ENTRIES_MAX} entries (byte ${at})`),
  };
  return refusals[fault]();
}

function toEnvelope(bytes: Buffer, message: Member): Envelope {
  if (textAt(bytes, memberOf(message, "jsonrpc")) !== "2.0")
    throw RpcRefusal.invalidRequest("the member `jsonrpc` must be `2.0`");
  const id = memberOf(message, "id");
  const method = memberOf(message, "method");
  if (method === undefined) return toResponse(bytes, message, id);
  if (memberOf(message, "result") !== undefined || memberOf(message, "error") !== undefined)
    throw RpcRefusal.invalidRequest("a message with `method` holds no `result` and no `error`");
  const common = { bytes, method: readMethod(bytes, method), params: readParams(bytes, message) };
  if (id === undefined) return { kind: "notification", ...common };
  return { kind: "request", id: readId(bytes, id), idText: bytes.toString("utf8", id.start, id.end), ...common };
}

function toResponse(bytes: Buffer, message: Member, id: Member | undefined): ResponseEnvelope {
  const result = memberOf(message, "result");
  const error = memberOf(message, "error");
  if ((result === undefined) === (error === undefined))
    throw RpcRefusal.invalidRequest("a message has either `method`, or `result`, or `error`");
  const isNullId = id === undefined || bytes[id.start] === 0x6e;
  if (isNullId && result !== undefined) throw RpcRefusal.invalidRequest("a result must carry the `id` of its request");
  return { kind: "response", bytes, id: isNullId ? null : readId(bytes, id), result, error };
}

function readMethod(bytes: Buffer, span: Span): string {
  const method = textAt(bytes, span);
  if (method === undefined || method.length > METHOD_CHARACTERS_MAX)
    throw RpcRefusal.invalidRequest("the member `method` must be a short text");
  return method;
}

function readParams(bytes: Buffer, message: Member): Member | undefined {
  const params = memberOf(message, "params");
  if (params !== undefined && bytes[params.start] !== 0x7b)
    throw RpcRefusal.invalidRequest("the member `params` must be an object");
  return params;
}

function readId(bytes: Buffer, span: Span): RpcId {
  if (span.end - span.start > ID_CHARACTERS_MAX) throw RpcRefusal.invalidRequest("the member `id` is too long");
  const text = bytes.toString("latin1", span.start, span.end);
  // What most clients count up; every parser gives it the same value.
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  const id = valueAt(bytes, span);
  if (typeof id === "string" && id.isWellFormed()) return id;
  // Every parser gives a safe integer the same value; a fraction or an exponent it may not.
  if (Number.isSafeInteger(id) && typeof id === "number" && /^-?\d+$/.test(text)) return id;
  throw RpcRefusal.invalidRequest("the member `id` must be a text or an integer");
}

function checkCase(members: readonly Member[], names: ReadonlyMap<string, string>): void {
  for (const { name } of members) {
    // Most names are written as they should be.
    if (names.get(name) === name) continue;
    const meant = names.get(fold(name));
    if (meant !== undefined && meant !== name)
      throw RpcRefusal.invalidRequest(`the member name \`${meant}\` is written in another case`);
  }
}

/** Each name by itself and by its folded form. */
function foldedNames(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.flatMap((name) => [[name, name] as const, [fold(name), name] as const]));
}

/** Unicode simple case folding, as far as it can reach an ASCII name: the Kelvin sign and the long s are its only strangers. */
function fold(name: string): string {
  if (IN_SMALL_LETTERS.test(name)) return name;
  return name.replaceAll("\u212a", "k").replaceAll("\u017f", "s").toLowerCase();
}
