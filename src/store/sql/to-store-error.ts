import { AppError } from "../../lib/errors.ts";

/**
 * Codes that mean the database cannot serve now: a full disk, a lost file or connection, a server that shuts down, stands by or lets
 * this account in no more.
 */
const UNAVAILABLE = new RegExp(
  `^(${[
    "SQLITE_(FULL|IOERR|BUSY|CANTOPEN|READONLY|CORRUPT|NOTADB|NOMEM)",
    // PostgreSQL 15, appendix A: connection, authorization, no such database, resources, intervention, system.
    "08...|28...|3D000|53...|57P0.|57014|58...",
    // A read-only transaction, an idle one that was ended, a server that is not in the needed state, a lock, a right.
    "25006|25P03|55000|55P03|42501",
    "ECONN|EPIPE|ETIMEDOUT|EHOST|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_",
  ].join("|")})`,
);

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
