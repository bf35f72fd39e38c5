import type { IncomingHttpHeaders } from "node:http";
import type { ServerView } from "../snapshot/snapshot.ts";
import { toDecimal } from "../lib/decimal.ts";
import { memberOf, membersAt, readMeta, textAt, type Envelope, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Member, Span } from "./envelope/json-scanner.ts";
import { checkVersion, MODERN_VERSION, one, protocolVersionOf } from "./http/request-headers.ts";
import { findParamHeaders, PARAM_DEPTH_MAX } from "./param-headers.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";

const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
/** Which member of `params` the header `Mcp-Name` repeats, by method (2026-07-28, standard request headers). */
const NAME_SOURCES: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);
/** As the MCP SDK's server reads it: another text (`0x10`, an empty one) is a number to some readers only. */
const DECIMAL = /^-?\d+(\.\d+)?$/;
const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;

/** Whether the message is of the stateless revision. Throws `RpcRefusal` where header and body name different ones. */
export function isModern(envelope: Envelope, headers: IncomingHttpHeaders): boolean {
  const header = protocolVersionOf(headers);
  const claim = envelope.kind === "response" ? undefined : claimedVersion(envelope);
  if (claim !== undefined && claim !== header) {
    if (header === undefined && claim !== MODERN_VERSION) throw unsupported(claim);
    throw mismatch("the revision in `_meta` and in `MCP-Protocol-Version` differ");
  }
  checkVersion(headers, claim);
  if (header !== MODERN_VERSION) return false;
  if (envelope.kind === "request" && envelope.method === "initialize" && claim === undefined)
    throw mismatch(`\`initialize\` is no method of ${MODERN_VERSION}`);
  if (envelope.kind === "request" && claim === undefined)
    throw new RpcRefusal({
      status: 400,
      code: RPC_CODES.invalidParams,
      message: `a request of ${MODERN_VERSION} names its revision in \`params._meta["${VERSION_KEY}"]\``,
    });
  return true;
}

/**
 * The `Mcp-*` headers for the upstream, names and values in turn, proved to say what the body says: a server that routes by
 * headers then acts on what was decided. Throws `RpcRefusal` (-32020) where they disagree.
 */
export function modernHeaders(
  envelope: RequestEnvelope,
  headers: IncomingHttpHeaders,
  { server, upstreamName }: { server: ServerView; upstreamName: (sealed: string) => string },
): string[] {
  const method = one(headers["mcp-method"]);
  if (method === undefined) throw mismatch("the header `Mcp-Method` is missing");
  if (method !== envelope.method) throw mismatch("the header `Mcp-Method` and the body name different methods");
  const passed = ["mcp-method", method];
  const source = NAME_SOURCES.get(envelope.method);
  if (source === undefined) return passed;
  const name = textAt(envelope.bytes, memberOf(envelope.params, source));
  const header = one(headers["mcp-name"]);
  if (name === undefined && header === undefined) return passed;
  if (header === undefined) throw mismatch("the header `Mcp-Name` is missing");
  if (name === undefined || decodeHeaderValue(header) !== name)
    throw mismatch(`the header \`Mcp-Name\` and \`params.${source}\` differ`);
  passed.push("mcp-name", source === "taskId" ? encodeHeaderValue(upstreamName(name)) : header);
  if (envelope.method === "tools/call") passed.push(...paramHeaders(envelope, headers, server.toolByName.get(name)));
  return passed;
}

function paramHeaders(
  { bytes, params }: RequestEnvelope,
  headers: IncomingHttpHeaders,
  tool: { readonly definition: { readonly inputSchema?: unknown } } | undefined,
): string[] {
  const declared = findParamHeaders(tool?.definition.inputSchema);
  if (declared.length === 0) return [];
  const args = memberOf(params, "arguments");
  const scanned = args && { ...args, members: membersAt(bytes, args, PARAM_DEPTH_MAX) };
  return declared.flatMap(({ header, path }) => {
    const name = `mcp-param-${header.toLowerCase()}`;
    const argument = primitiveAt(bytes, path.reduce<Member | undefined>(memberOf, scanned));
    if (argument === undefined) return [];
    const sent = one(headers[name]);
    if (sent === undefined) throw mismatch(`the header \`${name}\` is missing`);
    if (!repeats(decodeHeaderValue(sent), argument)) throw mismatch(`the header \`${name}\` and the arguments differ`);
    return [name, sent];
  });
}

/** A text, a number as it is written, `true` or `false`: what a header can repeat. */
interface Primitive {
  readonly text: string;
  readonly isNumber: boolean;
}

function primitiveAt(bytes: Buffer, at: Span | undefined): Primitive | undefined {
  const text = textAt(bytes, at);
  if (text !== undefined) return { text, isNumber: false };
  if (at === undefined || /[{[n]/.test(bytes.toString("latin1", at.start, at.start + 1))) return undefined;
  const written = bytes.toString("latin1", at.start, at.end);
  return { text: written, isNumber: written !== "true" && written !== "false" };
}

/** Numbers are compared as they are written: a double may stand for several. */
function repeats(value: string | undefined, { text, isNumber }: Primitive): boolean {
  if (value === undefined || value === text || !isNumber) return value === text;
  return DECIMAL.test(value) && toDecimal(value) === toDecimal(text);
}

/**
 * A value that a header cannot hold comes in base64 between marks. Undefined where what is between them is not valid, and for bytes
 * outside ASCII, which readers take for different characters.
 */
function decodeHeaderValue(value: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(value)) return undefined;
  if (!value.startsWith("=?base64?")) return value;
  const encoded = SENTINEL.exec(value)?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  const text = bytes.toString("utf8");
  return bytes.toString("base64") === encoded && Buffer.from(text).equals(bytes) ? text : undefined;
}

function encodeHeaderValue(text: string): string {
  const isPlain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith("=?base64?");
  return isPlain ? text : `=?base64?${Buffer.from(text).toString("base64")}?=`;
}

function claimedVersion({ bytes, params }: Exclude<Envelope, { kind: "response" }>): string | undefined {
  return textAt(bytes, memberOf({ members: readMeta(bytes, params) }, VERSION_KEY));
}

function mismatch(message: string): RpcRefusal {
  return new RpcRefusal({ status: 400, code: RPC_CODES.headerMismatch, message });
}

function unsupported(requested: string): RpcRefusal {
  const message = `the protocol revision is not supported; use ${MODERN_VERSION}, or open a session with \`initialize\``;
  const data = { supported: [MODERN_VERSION], requested: requested.slice(0, 64) };
  return new RpcRefusal({ status: 400, code: RPC_CODES.unsupportedVersion, message }, { data });
}
