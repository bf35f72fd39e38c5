/**
 * The closed set of error codes (contract section 1) with the HTTP status of each.
 * Surfaces map a code to their own form: problem document, MCP tool error, exit code.
 */
export const ERROR_STATUS = {
  invalid_input: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  payload_too_large: 413,
  limit_exceeded: 422,
  confirmation_required: 428,
  rate_limited: 429,
  internal: 500,
  upstream_error: 502,
  unavailable: 503,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

export interface AppErrorOptions {
  /** Machine-readable facts for the caller, for example the fields at fault. MUST hold no secret. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Goes to the log only, never to the caller. */
  readonly cause?: unknown;
}

/** An expected failure. Its message is shown to the caller: what is wrong, where, what to do; never a secret. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, publicMessage: string, options: AppErrorOptions = {}) {
    super(publicMessage, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }
}

/** The error as a caller may see it: anything that is not an `AppError` becomes `internal` and keeps its text to the log. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  // Several things failed to close, or one besides the work itself: what failed first is the reason.
  if (error instanceof SuppressedError) return toAppError(error.suppressed);
  return new AppError("internal", "something went wrong on our side; the server log has the details", { cause: error });
}
