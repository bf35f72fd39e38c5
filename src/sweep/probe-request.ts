import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly isTls?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ProbeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface ProbeRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: unknown;
}

const TIMEOUT_MS = 2_000;
const BODY_BYTES_MAX = 256 * 1024;
/** More than the ladder needs, and few enough that nobody takes it for an attack. */
export const REQUESTS_MAX = 12;

/** Requests to one port, counted: after twelve, or once nothing answers, each gives undefined. Never throws, never follows a redirect, never sends a credential. */
export class ProbeSession {
  #used = 0;
  #isDead = false;
  #target: ProbeTarget;

  constructor(target: ProbeTarget) {
    this.#target = target;
  }

  /** Where it is reached, as the last answer told. */
  get base(): string {
    const { host, port, isTls } = this.#target;
    return `${isTls === true ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
  }

  get requestsUsed(): number {
    return this.#used;
  }

  async send(request: ProbeRequest): Promise<ProbeAnswer | undefined> {
    if (this.#isDead || this.#used >= REQUESTS_MAX) return undefined;
    this.#used += 1;
    const startedAt = performance.now();
    // Whatever a port makes of a request, it MUST NOT end a scan that has other ports to ask: it gave no answer.
    const answer = await exchange(this.#target, request).catch(() => undefined);
    if (this.#used > 1) return answer;
    const isRefused = answer === undefined ? performance.now() - startedAt < TIMEOUT_MS : speaksOnlyTls(answer);
    if (isRefused && this.#target.isTls !== true) return this.#sendWithTls(request);
    // What does not even speak HTTP at the first request will not at the second.
    this.#isDead = answer === undefined;
    return answer;
  }

  /** Of what refuses the first request without TLS. */
  async #sendWithTls(request: ProbeRequest): Promise<ProbeAnswer | undefined> {
    this.#target = { ...this.#target, isTls: true };
    this.#used += 1;
    const answer = await exchange(this.#target, request).catch(() => undefined);
    this.#isDead = answer === undefined;
    return answer;
  }
}

/** Some servers answer a plain request on a port for TLS, in plain text: `Client sent an HTTP request to an HTTPS server`. */
function speaksOnlyTls({ status, body }: ProbeAnswer): boolean {
  return status === 400 && /\bHTTPS (?:server|port)\b/i.test(body);
}

function exchange({ host, port, isTls, signal }: ProbeTarget, probe: ProbeRequest): Promise<ProbeAnswer | undefined> {
  const body = probe.body === undefined ? undefined : JSON.stringify(probe.body);
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const options = {
    host,
    port,
    method: probe.method,
    path: probe.path,
    agent: false,
    signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
    // A certificate is evidence here, not a condition: nothing secret is sent.
    rejectUnauthorized: false,
    headers: {
      "accept-encoding": "identity",
      "user-agent": "runlayer-sweep",
      ...probe.headers,
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
    },
  } as const;
  return new Promise((resolve) => {
    let isAnswered = false;
    const outgoing = (isTls === true ? httpsRequest : httpRequest)(options, (response) => {
      isAnswered = true;
      readAnswer(response, (answer) => {
        resolve(answer);
        outgoing.destroy();
      });
    });
    const giveUp = (): void => {
      resolve(undefined);
    };
    outgoing.on("error", giveUp).on("close", () => {
      // One that switches protocols closes the request, with neither a response nor an error.
      if (!isAnswered) giveUp();
    });
    outgoing.end(body);
  });
}

/** Calls `onAnswer` when the response ends, breaks off, or holds all that is wanted of it. */
function readAnswer(response: IncomingMessage, onAnswer: (answer: ProbeAnswer) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  const finish = (): void => {
    const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
    onAnswer({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks).toString("utf8") });
  };
  const isStream = response.headers["content-type"]?.includes("text/event-stream") === true;
  response.on("data", (chunk: Buffer) => {
    size += chunk.length;
    chunks.push(chunk.subarray(0, BODY_BYTES_MAX));
    // A stream may never end: its first message is all that is wanted (an event without data only names a point to resume from).
    const isComplete =
      isStream && /\ndata:[^\S\n]*[^\s][^\n]*\n\r?\n/.test(`\n${Buffer.concat(chunks).toString("utf8")}`);
    if (isComplete || size > BODY_BYTES_MAX) finish();
  });
  response.on("end", finish);
  response.on("error", finish);
}
