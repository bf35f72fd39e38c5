import { memberOf, membersAt, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";

const LISTS = ["tools", "prompts", "resources"] as const;
const SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId";

const TO_SESSION = LISTS.map((list) => toMessage(list, ""));

/**
 * The messages that tell the client of this exchange that its lists are others now. Only the standing stream of a session, and a
 * subscription (2026-07-28) to these lists, is for what no request asked for: empty for every other.
 */
export function listChanges({ request, pending }: Pick<Exchange, "request" | "pending">): readonly Buffer[] {
  if (request.method === "GET") return TO_SESSION;
  if (pending?.facts.rule.target !== "subscription" || pending.isSettled) return [];
  const { envelope } = pending.facts;
  const params = `,"params":{"_meta":{"${SUBSCRIPTION_KEY}":${envelope.idText}}}`;
  return wantedLists(envelope).map((list) => toMessage(list, params));
}

function wantedLists({ bytes, params }: RequestEnvelope): readonly (typeof LISTS)[number][] {
  const filter = { members: membersAt(bytes, memberOf(params, "notifications")) };
  return LISTS.filter((list) => {
    const wanted = memberOf(filter, `${list}ListChanged`);
    return wanted !== undefined && bytes.toString("latin1", wanted.start, wanted.end) === "true";
  });
}

function toMessage(list: (typeof LISTS)[number], params: string): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","method":"notifications/${list}/list_changed"${params}}`);
}
