import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { assert } from "../../src/lib/assert.ts";

/** A network between two programs that a test may break. MUST be closed. */
export interface Relay {
  readonly port: number;
  /** Nothing passes any more on the connections that are open, and nobody hears of it; later ones work. */
  freeze(): void;
  /** Lets the next message that holds this text through, waits for its answer, and drops the connection in place of it. */
  loseAnswerTo(text: string): void;
  close(): Promise<void>;
}

interface Link {
  readonly near: Socket;
  readonly far: Socket;
  isFrozen: boolean;
  losesAnswer: boolean;
}

/** Listens on a port of its own and passes everything on to `port` on this machine. */
export async function startRelay(port: number): Promise<Relay> {
  const links = new Set<Link>();
  let lost: string | undefined;
  // Half open: while it is frozen, the end of a connection passes as little as anything else.
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const link: Link = { near, far, isFrozen: false, losesAnswer: false };
    links.add(link);
    near.on("data", (chunk) => {
      if (lost !== undefined && chunk.includes(lost)) {
        link.losesAnswer = true;
        lost = undefined;
      }
      if (!link.isFrozen) far.write(chunk);
    });
    far.on("data", (chunk) => {
      if (link.losesAnswer) return cut(link);
      if (!link.isFrozen) near.write(chunk);
    });
    for (const socket of [near, far]) {
      socket.on("end", () => {
        if (!link.isFrozen) cut(link);
      });
      // The other end hears of it as the end of its connection.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        links.delete(link);
        cut(link);
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object", "a listening server has an address");
  return {
    port: address.port,
    freeze() {
      for (const link of links) link.isFrozen = true;
    },
    loseAnswerTo(text) {
      lost = text;
    },
    async close() {
      const hasClosed = once(server, "close");
      server.close();
      for (const link of links) cut(link);
      await hasClosed;
    },
  };
}

function cut({ near, far }: Link): void {
  near.destroy();
  far.destroy();
}
