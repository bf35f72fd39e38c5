import { AnswerSink } from "./answer-sink.ts";
import { Exchange } from "./exchange.ts";
import { checkStreamHeaders, MODERN_VERSION, one, protocolVersionOf } from "./http/request-headers.ts";
import { IGNORED_BYTES_MAX, IGNORED_MS } from "./ignored-answer.ts";
import { respondEmpty, respondRefusal } from "./http/respond.ts";
import { subjectOf, toDraft } from "./record.ts";
import { openEventId, type EventPlace } from "./event-ids.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import { suspend } from "./suspended-calls.ts";
import { upstreamHeaders } from "./upstream-headers.ts";
import type { UpstreamFault, UpstreamSink } from "./upstream.ts";

/** GET: the stream on which an upstream speaks on its own, or on which a broken one is resumed. Throws `RpcRefusal`. */
export function openStream(exchange: Exchange): void {
  refuseModern(exchange);
  checkStreamHeaders(exchange.request);
  const last = one(exchange.request.headers["last-event-id"]);
  const place = last === undefined ? undefined : placeOf(exchange, last);
  const resumed = place === undefined ? [] : ["last-event-id", place.id];
  const headers = ["accept", "text/event-stream", ...upstreamHeaders(exchange), ...resumed];
  const open = (): void => exchange.send({ method: "GET", headers }, new AnswerSink(exchange));
  if (place?.callKey === undefined || !comeBack(exchange, place.callKey)) return open();
  setTimeout(() => {
    if (exchange.refresh()) exchange.whenDurable(open);
  }, HANG_UP_MS);
}

/** DELETE: the client ends its session. Throws `RpcRefusal`. */
export function endSession(exchange: Exchange): void {
  refuseModern(exchange);
  exchange.send({ method: "DELETE", headers: upstreamHeaders(exchange) }, new DeletionSink(exchange));
}

/** Records that a session ended, and why. */
export function recordSessionEnd(exchange: Exchange, reason: string): void {
  const { session, context, caller } = exchange;
  if (session === undefined || !context.sessions.end(session)) return;
  context.suspended.endSession(session.id);
  const now = context.clock.now();
  const draft = toDraft(subjectOf(caller), {
    event: "session.end",
    time: now,
    sessionId: session.id,
    details: { reason },
  });
  context.audit.post({ ...draft, outcome: "success", durationMs: now - session.openedAt });
}

/** Where in its stream the client was. */
function placeOf(exchange: Exchange, sealed: string): EventPlace {
  const place = openEventId(sealed, exchange);
  if (place !== undefined) return place;
  throw RpcRefusal.invalidRequest("the event id is not one that this session gave to you; open the stream without it");
}

/**
 * Ties the stream to the call that it is resumed for. A client that comes back has lost the connection that it had for the call, even
 * where that is not known here yet: true where there was one, which the server must see end first.
 */
function comeBack(exchange: Exchange, callKey: string): boolean {
  const { exchanges, suspended, clock } = exchange.context;
  const lost = exchanges.list().filter((live) => live instanceof Exchange && live.callKey === callKey);
  for (const live of lost) {
    if (!(live instanceof Exchange)) continue;
    suspend(live);
    live.stopAnswer();
    live.response.destroy();
  }
  exchange.callKey = callKey;
  suspended.touch(callKey, clock.now());
  return lost.length > 0;
}

/** 2026-07-28 has neither sessions nor a standing stream. */
function refuseModern({ request }: Exchange): void {
  if (protocolVersionOf(request.headers) !== MODERN_VERSION) return;
  throw new RpcRefusal({
    status: 405,
    code: RPC_CODES.invalidRequest,
    message: `${MODERN_VERSION} knows only POST here; use \`subscriptions/listen\` for notifications`,
  });
}

/** For the server to see that the connection of before has ended: one that does not knows the stream as taken. */
const HANG_UP_MS = 50;

class DeletionSink implements UpstreamSink {
  readonly #exchange: Exchange;
  #status = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  head(status: number): void {
    this.#status = status;
    this.#timer = setTimeout(() => this.#cutOff(), IGNORED_MS).unref();
  }

  data(chunk: Buffer): void {
    // Whatever it says, the status is the answer; it need not come to an end.
    this.#bytes += chunk.length;
    if (this.#bytes > IGNORED_BYTES_MAX) this.#cutOff();
  }

  #cutOff(): void {
    this.#exchange.stopAnswer();
    this.end();
  }

  end(): void {
    clearTimeout(this.#timer);
    const isGone = this.#status < 300 || this.#status === 404;
    if (isGone) recordSessionEnd(this.#exchange, "client");
    if (this.#status < 300) return respondEmpty(this.#exchange.response, 200);
    const status = this.#status === 404 || this.#status === 405 ? this.#status : 502;
    const message = `the server answered the end of the session with HTTP status ${this.#status}`;
    respondRefusal(this.#exchange.response, new RpcRefusal({ status, code: RPC_CODES.invalidRequest, message }));
  }

  fail(fault: UpstreamFault): void {
    clearTimeout(this.#timer);
    this.#exchange.fail(fault);
  }
}
