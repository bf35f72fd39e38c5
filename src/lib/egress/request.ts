import { AppError } from "../errors.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import type { Egress, EgressTarget } from "./egress.ts";

/** Upper bounds of one exchange. */
export interface RequestLimits {
  /** From the start to the last byte of the body. */
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
}

export interface EgressRequest extends EgressTarget, RequestLimits {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/**
 * One small bounded exchange, for token endpoints and webhooks. A redirect is an answer like any other and is not followed.
 * Throws `invalid_input` for a refused address, `timeout`, or `upstream_error` when nothing or too much came back.
 */
export async function requestText(egress: Egress, url: string | URL, request: EgressRequest): Promise<EgressResponse> {
  const target = egress.check(url, request);
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal]);
  try {
    const response = await egress.dispatcher(request).request({
      origin: target.origin,
      path: target.pathname + target.search,
      method: request.method ?? "GET",
      headers: { ...request.headers, "accept-encoding": "identity" },
      body: request.body ?? null,
      signal,
    });
    const body = await readBounded(response.body, request.responseBytesMax);
    return { status: response.statusCode, headers: response.headers, body };
  } catch (error) {
    throw toEgressError(error, { host: target.host, deadline, timeoutMs: request.timeoutMs });
  }
}

/** The whole body as UTF-8 text; throws `upstream_error` past `bytesMax` and stops reading. */
export async function readBounded(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const gathered = new GatheredBytes();
  for await (const chunk of body) {
    gathered.add(chunk);
    if (gathered.length > bytesMax) throw new AppError("upstream_error", `the answer is larger than ${bytesMax} bytes`);
  }
  return gathered.take().toString("utf8");
}

function toEgressError(
  error: unknown,
  { host, deadline, timeoutMs }: { host: string; deadline: AbortSignal; timeoutMs: number },
): unknown {
  if (error instanceof AppError) return error;
  if (deadline.aborted) {
    return new AppError("timeout", `\`${host}\` did not answer within ${timeoutMs} ms`, { cause: error });
  }
  if (error instanceof Error && error.name === "AbortError") return error;
  return new AppError("upstream_error", `\`${host}\` cannot be reached: ${faultOf(error)}`, { cause: error });
}

/** What the codes that people meet say, for who reads them without a manual at hand. */
const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: "no such host name",
  EAI_AGAIN: "the host name cannot be looked up now",
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was broken off",
  EHOSTUNREACH: "no way leads there",
  ENETUNREACH: "no way leads there",
  ETIMEDOUT: "no connection in time",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  UND_ERR_SOCKET: "the connection was broken off",
  ERR_SSL_WRONG_VERSION_NUMBER: "no TLS is spoken there",
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is of another host",
  CERT_HAS_EXPIRED: "the certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "nobody known signed the certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "nobody known signed the certificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "nobody known signed the certificate",
};

/** The system's code for a network failure with what it says, else its message; safe to show. */
export function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown fault";
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const words = code !== undefined && Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
  if (code !== undefined) return words === undefined ? code : `${code}, ${words}`;
  return inner === undefined ? error.message : faultOf(inner);
}
