import { GatheredBytes } from "../lib/gathered-bytes.ts";
import { finishAnswer, type FinishedAnswer } from "./answer.ts";
import { disownError } from "./disown-error.ts";
import { decideInputRequests } from "./input-requests.ts";
import { parseUpstreamEnvelope, type Envelope, type ResponseEnvelope, type RpcId } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { one } from "./http/request-headers.ts";
import { IGNORED_MS } from "./ignored-answer.ts";
import { errorMessage, respondEmpty } from "./http/respond.ts";
import type { PendingCall } from "./pending-call.ts";
import { RpcRefusal } from "./rpc-refusal.ts";
import { splice } from "./splice.ts";
import { StreamRelay } from "./stream-relay.ts";
import { recordEnd } from "./upkeep.ts";
import type { UpstreamFault, UpstreamSink } from "./upstream.ts";

type Headers = Readonly<Record<string, string | string[] | undefined>>;
type Mode = "json" | "stream" | "empty" | "error";

/** Enough of an error's body to find its JSON-RPC error in, and of one that is not looked at to end by itself. */
const SMALL_BYTES_MAX = 64 * 1024;

const UNREADABLE_ENTRIES: UpstreamFault = {
  kind: "refused",
  text: "its answer has too many entries, or one that can be read in two ways",
};

/**
 * Takes an upstream's answer to a POST or GET and gives the client its own: one JSON message, an event stream, a bare status,
 * or one clear error. Nothing of the upstream's head passes but what is named here: no cookie, redirect or challenge.
 */
export class AnswerSink implements UpstreamSink {
  readonly #exchange: Exchange;
  #mode: Mode = "empty";
  #status = 0;
  #isOurs = false;
  #isHealthy = false;
  readonly #body = new GatheredBytes();
  /** All of the body, where it came parsed. */
  #message: Envelope | undefined;
  #relay: StreamRelay | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  head(status: number, headers: Headers, isOurs = false): void {
    this.#status = status;
    this.#isOurs = isOurs;
    const fault = faultOfHead(status, headers);
    if (fault !== undefined) return this.#exchange.fail(fault);
    if (!isOurs) this.#noteHealthy();
    const type = one(headers["content-type"])?.toLowerCase() ?? "";
    if (status >= 400) this.#mode = "error";
    else if (type.startsWith("text/event-stream")) this.#startStream(headers);
    else if (type.startsWith("application/json")) this.#startJson(headers);
    if (this.#mode === "error" || this.#mode === "empty")
      this.#timer = setTimeout(() => this.#overflow(), IGNORED_MS).unref();
  }

  data(chunk: Buffer, message?: Envelope): void {
    // What a stream of its own tells, whenever that is, says nothing about how long an answer takes.
    if (!this.#isOurs || this.#exchange.isCall) this.#noteHealthy();
    if (this.#relay !== undefined) return this.#relay.push(chunk);
    const limit = this.#mode === "json" ? this.#exchange.context.limits.answerBytesMax : SMALL_BYTES_MAX;
    if (this.#body.length + chunk.length > limit) return this.#overflow();
    this.#body.add(chunk);
    this.#message = message;
    if (this.#mode === "json" && !this.#exchange.hold(this.#body.length)) this.#exchange.failUnread();
  }

  end(how?: "cancelled"): void {
    clearTimeout(this.#timer);
    if (how === "cancelled") this.#exchange.pending?.settle({ outcome: "error", reason: "client_cancelled" });
    if (this.#relay !== undefined) return this.#relay.end();
    this.#exchange.pending?.markAnswered();
    if (this.#mode === "json") this.#finishJson();
    else if (this.#mode === "error") this.#finishError();
    else this.#finishEmpty();
  }

  fail(fault: UpstreamFault): void {
    clearTimeout(this.#timer);
    if (this.#relay !== undefined) this.#relay.fail(fault);
    else this.#exchange.fail(fault);
  }

  /** At the first sign of the upstream: it says how long it took. */
  #noteHealthy(): void {
    if (this.#isHealthy || this.#status >= 400) return;
    this.#isHealthy = true;
    this.#exchange.noteHealthy();
  }

  #startStream(headers: Headers): void {
    this.#mode = "stream";
    this.#exchange.openSession(one(headers["mcp-session-id"]));
    this.#relay = new StreamRelay(this.#exchange, this.#isOurs);
  }

  #startJson(headers: Headers): void {
    this.#mode = "json";
    this.#exchange.openSession(one(headers["mcp-session-id"]));
    if (Number(one(headers["content-length"]) ?? 0) > this.#exchange.context.limits.answerBytesMax) this.#overflow();
  }

  #overflow(): void {
    if (this.#mode !== "json") {
      // Cut, an error's text is no JSON-RPC error: its status is what the client is told.
      this.#body.take();
      this.#message = undefined;
      this.#exchange.stopAnswer();
      return this.end();
    }
    const limit = this.#exchange.context.limits.answerBytesMax;
    this.#exchange.fail({ kind: "refused", text: `its answer is larger than ${limit} bytes` });
  }

  #finishJson(): void {
    const { pending } = this.#exchange;
    const body = this.#body.take();
    const envelope = this.#message ?? parsed(body);
    // The client gets another copy where something in it is sealed, and may take its time.
    this.#message = undefined;
    if (pending === undefined) return this.#finishEmpty();
    if (envelope?.kind !== "response" || envelope.id !== pending.facts.envelope.id)
      return this.#exchange.fail({ kind: "refused", text: "its answer is no JSON-RPC answer to this request" });
    const finish = (refusal?: RpcRefusal): void => {
      if (this.#exchange.isOver) return;
      if (refusal !== undefined) return refuseAnswer(this.#exchange, pending, refusal);
      const finished = finishedOf(envelope, pending, this.#exchange);
      if (finished === undefined) return this.#exchange.fail(UNREADABLE_ENTRIES);
      this.#exchange.answer(finished.bytes, { headers: this.#exchange.answerHeaders });
      // In the same turn of the loop: no message that the answer leads to can be read before.
      pending.settle(finished.end);
    };
    const asked = this.#decideQuestions(envelope);
    if (asked === undefined) return this.#exchange.whenDurable(() => finish());
    asked.then(
      (refusal) => this.#exchange.whenDurable(() => finish(refusal)),
      (error: unknown) => this.#exchange.unrecorded(error),
    );
  }

  #decideQuestions(envelope: ResponseEnvelope): Promise<RpcRefusal | undefined> | undefined {
    try {
      return decideInputRequests(envelope, this.#exchange);
    } catch (error) {
      if (!(error instanceof RpcRefusal)) throw error;
      this.#exchange.fail(UNREADABLE_ENTRIES);
      return undefined;
    }
  }

  #finishError(): void {
    const { pending } = this.#exchange;
    const error = this.#errorTo(pending?.facts.envelope.id);
    if (this.#status === 404) this.#dropSession(error?.isOfRequest === true);
    if (error === undefined && this.#status >= 500)
      return this.#exchange.fail({ kind: "refused", text: `it answered with HTTP status ${this.#status}` });
    const idText = pending?.facts.envelope.idText ?? "null";
    const refusal = RpcRefusal.invalidRequest(`the server refused the request with HTTP status ${this.#status}`);
    const answer = error?.bytes ?? errorMessage(idText, { code: refusal.code, message: refusal.message });
    this.#exchange.whenDurable(() => {
      pending?.settle({ outcome: "error", reason: "rpc_error", details: { status: this.#status } });
      this.#exchange.answer(answer, { status: this.#status });
    });
  }

  /** The JSON-RPC error in the body; undefined where there is none that answers this request. One that names it is not about its session. */
  #errorTo(id: RpcId | undefined): { readonly bytes: Buffer; readonly isOfRequest: boolean } | undefined {
    const envelope = parsed(this.#body.take());
    if (envelope?.kind !== "response" || envelope.error === undefined) return undefined;
    if (envelope.id !== null && envelope.id !== id) return undefined;
    if (this.#isOurs) return { bytes: envelope.bytes, isOfRequest: false };
    return { bytes: splice(envelope.bytes, disownError(envelope)), isOfRequest: envelope.id !== null };
  }

  /** The server does not know the session any more, unless it only has no such stream, or not what the request asks for. */
  #dropSession(isOfRequest: boolean): void {
    const { session, context, isCall } = this.#exchange;
    if (!this.#isOurs && (!isCall || isOfRequest)) return;
    if (session !== undefined && context.sessions.end(session))
      recordEnd(context, session, { reason: "ended_by_server" });
  }

  /** No content: right for notifications and answers, no answer to a request. */
  #finishEmpty(): void {
    const { pending, response } = this.#exchange;
    if (pending?.isCancelled === true) return this.#exchange.endCancelled();
    if (pending !== undefined)
      return this.#exchange.fail({
        kind: "refused",
        text: `it answered with HTTP status ${this.#status} and no message`,
      });
    respondEmpty(response, 202);
  }
}

/** The answer asks for what the agent may not give: the client gets our refusal in its place. */
function refuseAnswer(exchange: Exchange, pending: PendingCall, refusal: RpcRefusal): void {
  pending.settle({ outcome: "error", reason: "question_refused" });
  exchange.answer(errorMessage(pending.facts.envelope.idText, refusal), { headers: exchange.answerHeaders });
}

/** Undefined where the entries of a list are too many, or can be read in two ways. */
function finishedOf(envelope: ResponseEnvelope, pending: PendingCall, exchange: Exchange): FinishedAnswer | undefined {
  try {
    return finishAnswer(envelope, pending, exchange);
  } catch (error) {
    if (error instanceof RpcRefusal) return undefined;
    throw error;
  }
}

function parsed(body: Buffer): Envelope | undefined {
  try {
    return parseUpstreamEnvelope(body);
  } catch (error) {
    if (error instanceof RpcRefusal) return undefined;
    throw error;
  }
}

function faultOfHead(status: number, headers: Headers): UpstreamFault | undefined {
  if (status >= 300 && status < 400)
    return { kind: "refused", text: "it redirects, which the gateway does not follow" };
  // Its words are about our credential, never the agent's: neither the status nor the challenge is for the agent.
  if (status === 401 || status === 403 || status === 407)
    return { kind: "credential", text: `it refused the gateway's credential (HTTP ${status})` };
  const encoding = one(headers["content-encoding"]);
  if (encoding !== undefined && encoding !== "identity")
    return { kind: "refused", text: "it used a content encoding that was not asked for" };
  return undefined;
}
