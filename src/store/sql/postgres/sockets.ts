import { Socket } from "node:net";

/** How long a stop waits for a server to take its leave. What it does not answer is rolled back, or was committed all the same. */
const FAREWELL_MS_MAX = 5_000;

/** The sockets of all connections to a server: pg itself waits without end for one that hangs. */
export class Sockets {
  readonly #open = new Set<Socket>();

  /** For pg's option `stream`. */
  readonly create = (): Socket => {
    const socket = new Socket();
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    return socket;
  };

  /** Does the work that closes all connections, and destroys those that are still open some seconds later. */
  async closeAfter(work: () => Promise<void>): Promise<void> {
    const late = setTimeout(() => {
      for (const socket of this.#open) socket.destroy();
    }, FAREWELL_MS_MAX);
    try {
      await work();
      await Promise.all([...this.#open].map(closed));
    } finally {
      clearTimeout(late);
    }
  }
}

function closed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  return promise;
}
