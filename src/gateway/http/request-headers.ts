import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";

const LEGACY_VERSIONS: ReadonlySet<string> = new Set(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]);
export const MODERN_VERSION = "2026-07-28";
const SUPPORTED_VERSIONS = [MODERN_VERSION, "2025-11-25", "2025-06-18", "2025-03-26"] as const;

/** Trace context (W3C) is the one thing besides the protocol's own headers that passes. */
const PASSED_HEADERS = ["traceparent", "tracestate"] as const;
const PASSED_VALUE_CHARACTERS_MAX = 1024;

/** Throws `RpcRefusal` where the headers of a POST do not announce one JSON message (MCP, streamable HTTP). */
export function checkPostHeaders(request: IncomingMessage): void {
  const { headers } = request;
  if (headers["content-encoding"] !== undefined)
    throw RpcRefusal.invalidRequest("a content encoding is not accepted; send the message as it is");
  if (!isJson(headers["content-type"])) throw refuse(415, "the header `Content-Type` must be `application/json`");
  if (!accepts(headers, "application/json") || !accepts(headers, "text/event-stream"))
    throw refuse(406, "the header `Accept` must list `application/json` and `text/event-stream`");
}

/** Throws `RpcRefusal` where a GET does not ask for an event stream. */
export function checkStreamHeaders(request: IncomingMessage): void {
  if (!accepts(request.headers, "text/event-stream"))
    throw refuse(406, "the header `Accept` must list `text/event-stream`");
  checkVersion(request.headers);
}

/** The revision in the header; undefined where the client names none, which MCP reads as 2025-03-26. */
export function protocolVersionOf(headers: IncomingHttpHeaders): string | undefined {
  return one(headers["mcp-protocol-version"]);
}

/** The value of a header that may come once only; a list is no value that two readers take alike. */
export function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value.trim() : value?.[0];
}

/** Name and value in turn, as undici takes them, of what passes from the client to the upstream. */
export function passedHeaders(headers: IncomingHttpHeaders): string[] {
  const passed: string[] = [];
  for (const name of PASSED_HEADERS) {
    const value = one(headers[name]);
    if (value !== undefined && value.length <= PASSED_VALUE_CHARACTERS_MAX) passed.push(name, value);
  }
  return passed;
}

/** Throws `RpcRefusal` for a revision that is not spoken here. `claim` is what the message itself names (2026-07-28). */
export function checkVersion(headers: IncomingHttpHeaders, claim?: string): void {
  const version = protocolVersionOf(headers);
  if (version === undefined || version === MODERN_VERSION || LEGACY_VERSIONS.has(version)) return;
  // Revisions before 2026-07-28 know no code for this.
  const isModernClient = claim !== undefined || version > MODERN_VERSION;
  // A stateless client can use nothing else; what the server itself speaks besides, `server/discover` says.
  const supported = isModernClient ? [MODERN_VERSION] : SUPPORTED_VERSIONS;
  throw new RpcRefusal(
    {
      status: 400,
      code: isModernClient ? RPC_CODES.unsupportedVersion : RPC_CODES.invalidRequest,
      message: `the protocol revision in \`MCP-Protocol-Version\` is not supported; use one of ${supported.join(", ")}`,
    },
    { data: { supported, requested: version.slice(0, 64) } },
  );
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(contentType);
}

function accepts(headers: IncomingHttpHeaders, type: string): boolean {
  const accept = headers.accept?.toLowerCase() ?? "";
  return accept.includes(type) || accept.includes("*/*") || accept.includes(`${type.split("/")[0]}/*`);
}

function refuse(status: number, message: string): RpcRefusal {
  return new RpcRefusal({ status, code: RPC_CODES.invalidRequest, message });
}
