import { memberOf, valueAt, type RpcId } from "../envelope/envelope.ts";
import { JsonFaultError, JsonScanner, type Member, type Span } from "../envelope/json-scanner.ts";

/** `id` is undefined where it cannot be told which request is answered. */
export interface RefusedAnswer {
  readonly id: RpcId | undefined;
}

const NAMELESS: RefusedAnswer = { id: undefined };
/** Deeper than any message that is accepted, and far from what a stack holds. */
const LIMITS = { depthMax: 1000, collectDepth: 1, uniqueDepth: 1 };
const ID_BYTES_MAX = 256;
const START_BYTES = 16;
const OPEN_BRACKET = 0x5b;
const MARK = '"jsonrpc"';

/**
 * What bytes that were refused as a message seem to answer. Undefined for all else that servers print or say: their logs are often
 * JSON, and what they tell of themselves nobody waits for.
 */
export function refusedAnswerIn(bytes: Buffer): RefusedAnswer | undefined {
  const message = scan(bytes);
  if (message === undefined) return isBroken(bytes) ? NAMELESS : undefined;
  const has = (name: string): boolean => memberOf(message, name) !== undefined;
  const isMarked = bytes[message.start] === OPEN_BRACKET ? bytes.includes(MARK) : has("jsonrpc");
  // Whoever waits for a server that asks waits for ever where the question is refused.
  if (has("method")) return isMarked && has("id") ? NAMELESS : undefined;
  const id = idAt(bytes, memberOf(message, "id"));
  if (id !== undefined && (isMarked || has("result") || has("error"))) return { id };
  return isMarked ? NAMELESS : undefined;
}

/** With the members of the outermost object, whatever is wrong further in: bytes that are no UTF-8 stay within their texts. */
function scan(bytes: Buffer): Member | undefined {
  try {
    return new JsonScanner(bytes, LIMITS).document();
  } catch (error) {
    if (error instanceof JsonFaultError) return undefined;
    throw error;
  }
}

/** A message that is no JSON, as opposed to a line of a log that quotes one. */
function isBroken(bytes: Buffer): boolean {
  return bytes.includes(MARK) && bytes.toString("latin1", 0, START_BYTES).trimStart().startsWith("{");
}

function idAt(bytes: Buffer, span: Span | undefined): RpcId | undefined {
  if (span === undefined || span.end - span.start > ID_BYTES_MAX) return undefined;
  const id = valueAt(bytes, span);
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}
