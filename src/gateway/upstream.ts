import type { ServerView, Snapshot } from "../snapshot/snapshot.ts";
import type { Envelope } from "./envelope/envelope.ts";
import type { HandleScope } from "./seal.ts";

/** One HTTP request towards an upstream. Credentials are added by the upstream itself, never by who sends. */
export interface UpstreamRequest {
  readonly method: "POST" | "GET" | "DELETE";
  /** Names and values in turn; names in lower case. */
  readonly headers: readonly string[];
  readonly body?: Buffer | undefined;
  /** The message that is the body, where it was parsed before. */
  readonly message?: Envelope | undefined;
  /** What it opens tells of what happens, however seldom that is: its silence is no fault. */
  readonly isSubscription?: boolean | undefined;
}

/** Takes what comes back, in order: one head, then data, then one end or failure. A failure may come at any time. */
export interface UpstreamSink {
  /** `isOurs`: the head is the gateway's own and no sign of the upstream; of an error the words are, too, and stand as they are. */
  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>, isOurs?: boolean): void;
  /** `message`: the chunk is all of the data, and this one message, parsed. */
  data(chunk: Buffer, message?: Envelope): void;
  /** `cancelled`: the client took its request back, so that it ends without an answer. */
  end(how?: "cancelled"): void;
  /** `fault` is safe to show: a code or a short phrase of our own, never the upstream's words. */
  fail(fault: UpstreamFault): void;
}

export interface UpstreamFault {
  readonly kind: "unreachable" | "timeout" | "reset" | "refused" | "credential" | "unavailable";
  readonly text: string;
  readonly cause?: unknown;
}

/** An exchange in flight. */
export interface UpstreamCall {
  /** Ends it at once; the sink hears nothing more. */
  abort(): void;
  pause(): void;
  resume(): void;
}

/** Reaches one upstream server. HTTP servers take the bytes as they are; others are made to look like one. */
export interface Upstream {
  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamCall;
}

/** Finds the way to a server. `scope` keeps what belongs to one agent apart from every other. */
export interface Upstreams {
  of(server: ServerView, scope: HandleScope): Upstream;
  /** Ends what is kept for a session whose agent lost its right, on our side. */
  endSession(scope: HandleScope, upstreamId: string): void;
  /** Whether a session is over as far as it is known on our side: the server would get nothing of it. */
  hasEnded(server: ServerView, scope: HandleScope, upstreamId: string): boolean;
  /** Ends what runs here for servers that the snapshot does not have, has not active, or has configured otherwise. Synchronous. */
  enforce(snapshot: Snapshot): void;
}
