const MESSAGES_MAX = 64;
/** Such messages are small; a question with an image still finds room. */
const BYTES_MAX = 1024 * 1024;

/** The latest messages of a server for a client that has no stream open; the oldest are dropped beyond its bounds. */
export class Backlog {
  #messages: Buffer[] = [];
  #bytes = 0;

  add(message: Buffer): void {
    if (message.length > BYTES_MAX) return;
    // A copy: a message is a window into a larger chunk, which it would keep in memory.
    this.#messages.push(Buffer.from(message));
    this.#bytes += message.length;
    while (this.#messages.length > MESSAGES_MAX || this.#bytes > BYTES_MAX)
      this.#bytes -= this.#messages.shift()?.length ?? 0;
  }

  /** All of them in their order; none are left after it. */
  take(): readonly Buffer[] {
    const taken = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return taken;
  }
}
