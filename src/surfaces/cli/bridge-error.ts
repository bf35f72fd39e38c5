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
/** How the gateway refuses where no answer has begun: before it looks at a message, or when it cuts a call off. */
const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string(), data: z.unknown().optional() }) });

/** What the gateway said, as a JSON-RPC error; or that it did not answer. */
export function toBridgeError(error: unknown): BridgeError {
  const said = saidIn(error);
  const answer = RpcAnswer.safeParse(said);
  if (answer.success) return answer.data.error;
  const data = Refusal.safeParse(said).data?.error.data;
  return { code: BRIDGE_ERROR, message: `runlayer: ${explain(error)}`, ...(data === undefined ? {} : { data }) };
}

/** The same for the client's log, as a text. */
export function explain(error: unknown): string {
  const said = saidIn(error);
  const answer = RpcAnswer.safeParse(said);
  if (answer.success) return answer.data.error.message;
  const refusal = Refusal.safeParse(said);
  if (refusal.success) return `${refusal.data.error.code}: ${refusal.data.error.message}`;
  return error instanceof SdkHttpError ? `the gateway answered with HTTP status ${error.status}` : messageOf(error);
}

function saidIn(error: unknown): unknown {
  return error instanceof SdkHttpError ? parsed(error.data.text) : undefined;
}

function messageOf(error: unknown): string {
  // The SDK's parser tells of each form that a message might have had.
  if (error instanceof z.core.$ZodError) return "the server's answer is no message of MCP";
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
