import { SdkHttpError } from "@modelcontextprotocol/client";
import { z } from "zod";

/** A JSON-RPC error as the bridge gives it to its client. */
interface BridgeError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** JSON-RPC's own range for errors that a server defines. */
const BRIDGE_ERROR = -32000;

const RpcAnswer = z.object({
  error: z.object({ code: z.int(), message: z.string(), data: z.unknown().optional() }),
});
/** How the gateway refuses before it looks at a message. */
const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** What the gateway said, as a JSON-RPC error; or that it did not answer. */
export function toBridgeError(error: unknown): BridgeError {
  const said = error instanceof SdkHttpError ? parsed(error.data.text) : undefined;
  const answer = RpcAnswer.safeParse(said);
  if (answer.success) return answer.data.error;
  const refusal = Refusal.safeParse(said);
  if (refusal.success) return own(`${refusal.data.error.code}: ${refusal.data.error.message}`);
  if (error instanceof SdkHttpError) return own(`the gateway answered with HTTP status ${error.status}`);
  const isUnreachable = error instanceof TypeError;
  return own(isUnreachable ? "the gateway does not answer; try again later" : messageOf(error));
}

function own(text: string): BridgeError {
  return { code: BRIDGE_ERROR, message: `runlayer: ${text}` };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "the gateway did not answer";
}

function parsed(text: unknown): unknown {
  try {
    return JSON.parse(typeof text === "string" ? text : "");
  } catch {
    // Some proxy's page: its status says enough.
    return undefined;
  }
}
