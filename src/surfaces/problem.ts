import { STATUS_CODES } from "node:http";
import { ERROR_STATUS, type AppError } from "../lib/errors.ts";
import { BEARER_CHALLENGE } from "./authentication.ts";

/** An answer to be sent: the same for `node:http` and for Hono. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An error as a problem document (RFC 9457), with the error's `code` and `details` as extension members. */
export function toProblem(
  error: AppError,
  correlationId: string,
  status: number = ERROR_STATUS[error.code],
): ErrorAnswer {
  const document = {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Error",
    status,
    code: error.code,
    detail: error.message,
    ...(error.details === undefined ? {} : { details: error.details }),
    correlationId,
  };
  return {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-correlation-id": correlationId,
      ...(error.code === "unauthenticated" ? { "www-authenticate": BEARER_CHALLENGE } : {}),
    },
    body: JSON.stringify(document),
  };
}
