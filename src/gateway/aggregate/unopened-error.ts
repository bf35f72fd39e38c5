/** A call that was sent to no server: the connection for it could not be opened, or its agent had taken it back by then. */
export class UnopenedError extends Error {
  override readonly name = "UnopenedError";

  constructor(cause: unknown) {
    super("the call was not sent", { cause });
  }
}
