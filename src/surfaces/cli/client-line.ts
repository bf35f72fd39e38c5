import { isSpecType, type JSONRPCMessage } from "@modelcontextprotocol/client";
import { z } from "zod";
import type { Line } from "./line-splitter.ts";

/** A line of the client, read as far as the bridge needs; `id` is that of a request that cannot be passed on. */
export type ClientLine =
  | { readonly message: JSONRPCMessage }
  | { readonly fault: string; readonly id: string | number | undefined };

/** Far more than the gateway takes: what is only too large for that one is refused there. */
export const LINE_BYTES_MAX = 10 * 1024 * 1024;

const Id = z.union([z.string(), z.number()]);
/** What the protocol names. Of other members the gateway judges, who gets the line as it is. */
const Named = z.object({
  jsonrpc: z.unknown().optional(),
  id: z.unknown().optional(),
  method: z.unknown().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
});

/** Undefined for an empty line. */
export function readClientLine({ bytes, isCut }: Line): ClientLine | undefined {
  const text = bytes.toString("utf8");
  if (isCut) return { fault: `the client's message is larger than ${LINE_BYTES_MAX} bytes`, id: requestIdAtEnds(text) };
  if (text.trim() === "") return undefined;
  const fault = "the client sent what is no JSON-RPC message";
  const value = parsed(text);
  if (value === undefined) return { fault, id: requestIdAtEnds(text) };
  const named = Named.safeParse(value).data;
  return isSpecType.JSONRPCMessage(named) ? { message: named } : { fault, id: named && requestId(named) };
}

function requestId({ id, result, error }: z.output<typeof Named>): string | number | undefined {
  return result === undefined && error === undefined ? Id.safeParse(id).data : undefined;
}

const ID = String.raw`"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)`;
// Before the first inner object or list, or right before the end, a member is the message's own.
const METHOD_FIRST = /^\s*\{[^{}[\]]*"method"\s*:/;
const ID_FIRST = new RegExp(String.raw`^\s*\{[^{}[\]]*${ID}`);
const ID_LAST = new RegExp(String.raw`${ID}\s*\}\s*$`);

/** The id of a request of which only the ends can be read; undefined where it is elsewhere, or this may be no request. */
function requestIdAtEnds(text: string): string | number | undefined {
  if (!METHOD_FIRST.test(text)) return undefined;
  const id = ID_FIRST.exec(text)?.[1] ?? ID_LAST.exec(text)?.[1];
  return id === undefined ? undefined : Id.safeParse(parsed(id)).data;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
