import { MODERN_VERSION } from "../http/request-headers.ts";

/** `legacy`: with `initialize` at once; `auto`: the server is asked with `server/discover` which revisions it speaks. */
export type Opening = "legacy" | "auto";

/**
 * How the gateway's own clients open a server. One of an older revision does not know the question: it would cost a round trip and
 * stand in the log as a message of the agent's that failed.
 */
export class Openings {
  readonly #revisionOf: (serverId: string) => string | null | undefined;
  /** By server, as it was opened last. */
  readonly #learned = new Map<string, Opening>();

  /** `revisionOf` gives the revision that a server was registered with, if it is known. */
  constructor(revisionOf: (serverId: string) => string | null | undefined) {
    this.#revisionOf = revisionOf;
  }

  of(serverId: string): Opening {
    const registered = this.#revisionOf(serverId) ?? MODERN_VERSION;
    return this.#learned.get(serverId) ?? (registered < MODERN_VERSION ? "legacy" : "auto");
  }

  /** `era` as a client found it; undefined where the server took no opening: it may speak another revision by now, and is asked. */
  learn(serverId: string, era: "legacy" | "modern" | undefined): void {
    this.#learned.set(serverId, era === "legacy" ? "legacy" : "auto");
  }
}
