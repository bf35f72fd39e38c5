/** A statement that the database refused, with the database's own code, for example `SQLITE_FULL` or `22021`. */
export class StatementError extends Error {
  override readonly name = "StatementError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${message} (${code})`);
    this.code = code;
  }
}
