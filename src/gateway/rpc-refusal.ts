import { AppError } from "../lib/errors.ts";

/** JSON-RPC and MCP error codes that the gateway answers with. */
export const RPC_CODES = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** A policy or the assignment said no (contract section 5). Not sent, unless `data.wasSent` says so. */
  denied: -32011,
  /** A policy holds the call until a person approves it. */
  approvalPending: -32012,
  /** The gateway can neither record nor decide. Not sent, unless `data.wasSent` says so. */
  unavailable: -32013,
  /** 2026-07-28: `Mcp-*` headers and the body disagree. */
  headerMismatch: -32020,
  /** 2026-07-28: the revision is none that is spoken here. */
  unsupportedVersion: -32022,
} as const;

export interface RefusalOptions {
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/**
 * A message that is answered by the gateway itself with a JSON-RPC error. The text is shown to the client: it names the fault
 * and never holds a secret or an upstream's words.
 */
export class RpcRefusal extends Error {
  override readonly name = "RpcRefusal";
  readonly status: number;
  readonly code: number;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(
    answer: { readonly status: number; readonly code: number; readonly message: string },
    options: RefusalOptions = {},
  ) {
    super(answer.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = answer.status;
    this.code = answer.code;
    this.data = options.data;
  }

  static invalidRequest(message: string): RpcRefusal {
    return new RpcRefusal({ status: 400, code: RPC_CODES.invalidRequest, message });
  }

  static unavailable(message: string): RpcRefusal {
    return new RpcRefusal({ status: 503, code: RPC_CODES.unavailable, message });
  }

  /** For the client of a message or stream that was let in and may not go on. */
  static cutOff({ status, message, data }: Pick<RpcRefusal, "status" | "message" | "data">): RpcRefusal {
    const code = status === 503 ? RPC_CODES.unavailable : RPC_CODES.denied;
    return new RpcRefusal({ status, code, message }, { data });
  }

  static parseError(message: string): RpcRefusal {
    return new RpcRefusal({ status: 400, code: RPC_CODES.parseError, message });
  }
}

/** The refusal that an error stands for: itself, or that a message could not be recorded. Undefined for every other. */
export function asRefusal(error: unknown): RpcRefusal | undefined {
  if (error instanceof RpcRefusal) return error;
  return error instanceof AppError && error.code === "unavailable" ? unrecordedRefusal(error) : undefined;
}

/** For a message that cannot be recorded and was not sent. */
export function unrecordedRefusal(cause?: unknown): RpcRefusal {
  const message = "the gateway cannot record this message now, so it refuses it; try again later";
  return new RpcRefusal({ status: 503, code: RPC_CODES.unavailable, message }, { cause });
}
