/** Four messages of the largest size. */
export const WAITING_BYTES_MAX = 16 * 1024 * 1024;
const WAITING_MAX = 1000;

interface WaitingMessage {
  readonly message: Buffer;
  readonly onTaken: (() => void) | undefined;
}

/** Messages that cannot leave yet. A server that never becomes ready must not make a client's messages pile up without end. */
export class WaitingMessages {
  #messages: WaitingMessage[] = [];
  #bytes = 0;

  /** False where too much waits already; then the message was not taken. */
  add(message: Buffer, onTaken: (() => void) | undefined): boolean {
    if (this.#messages.length >= WAITING_MAX || this.#bytes + message.length > WAITING_BYTES_MAX) return false;
    this.#messages.push({ message, onTaken });
    this.#bytes += message.length;
    return true;
  }

  /** All of them in their order; none wait after it. */
  take(): readonly WaitingMessage[] {
    const taken = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return taken;
  }

  /** None of them will leave. */
  drop(): void {
    for (const { onTaken } of this.take()) onTaken?.();
  }
}
