import { AppError } from "../../lib/errors.ts";

/** Codes that mean the database cannot serve now: a full disk, a lost file or connection, a server that shuts down. */
const UNAVAILABLE =
  /^(SQLITE_(FULL|IOERR|BUSY|CANTOPEN|READONLY|CORRUPT|NOTADB|NOMEM)|08...|53...|57P0.|57014|58...|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)/;

// PostgreSQL: character_not_in_repertoire, untranslatable_character. Its text holds no NUL.
const BAD_TEXT = /^(22021|22P05)$/;

/** What callers get for a failure below the store: `unavailable` if the database cannot serve, else the error itself. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (UNAVAILABLE.test(code) || isLostConnection(error)) {
    return new AppError("unavailable", "the database cannot serve at the moment; the server log says why", {
      cause: error,
    });
  }
  if (BAD_TEXT.test(code)) {
    return new AppError("invalid_input", "text holds a NUL character; remove it", { cause: error });
  }
  return error;
}

/** pg gives no code when a connection ends under a query or the pool cannot connect in time. */
function isLostConnection(error: Error): boolean {
  return /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
    error.message,
  );
}
