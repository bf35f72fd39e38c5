import { memberOf, membersAt, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { messageEvent } from "./sse.ts";

const PROGRESS_MS = 5000;

/** Tells a client that gave a progress token that its call still waits, at once and every few seconds. Gives a function that ends it. */
export function startProgress(exchange: Exchange, envelope: RequestEnvelope): () => void {
  const token = progressTokenOf(envelope);
  // The head of the answer to `initialize` names the session, which does not exist yet.
  if (token === undefined || envelope.method === "initialize") return () => undefined;
  let progress = 0;
  const tell = (): void => {
    progress += 1;
    const message = "waiting for a person to approve this call";
    const params = `{"progressToken":${token},"progress":${progress},"message":${JSON.stringify(message)}}`;
    const data = Buffer.from(`{"jsonrpc":"2.0","method":"notifications/progress","params":${params}}`);
    exchange.writeEvent(messageEvent(data));
  };
  tell();
  const timer = setInterval(tell, PROGRESS_MS);
  return () => clearInterval(timer);
}

/** As written, to be echoed. */
function progressTokenOf({ bytes, params }: RequestEnvelope): string | undefined {
  const meta = { members: membersAt(bytes, memberOf(params, "_meta")) };
  const token = memberOf(meta, "progressToken");
  if (token === undefined) return undefined;
  const text = bytes.toString("utf8", token.start, token.end);
  return /^(?:"|-?\d)/.test(text) ? text : undefined;
}
