import type { Clock } from "../../lib/clock.ts";
import { memberOf, textAt } from "../envelope/envelope.ts";
import { KeptChild } from "../stdio/kept-child.ts";
import type { Configuration } from "./configuration.ts";
import { MESSAGE_BYTES_MAX, parseMessage, type ChannelListener, type MessageChannel } from "./message-channel.ts";
import { SharedWire, type Seat } from "./shared-wire.ts";
import { faultOfStart, type BridgedChild } from "./stdio-channel.ts";
import { WaitingMessages } from "./waiting-messages.ts";

export interface SharedChildrenOptions {
  readonly clock: Clock;
  /** A child without sessions is stopped after so long. */
  readonly idleMs: number;
  readonly onProblem: (message: string) => void;
}

/** How to start a child: another configuration is another child. */
export interface SharedSpec {
  readonly serverId: string;
  readonly configuration: Configuration;
  readonly label: string;
  readonly start: () => Promise<BridgedChild>;
}

const VERSIONS: readonly string[] = ["2025-11-25", "2025-06-18", "2025-03-26"];
const [NEWEST = ""] = VERSIONS;

/** The children of shareable servers: one for each server and protocol revision, restarted with growing pauses. */
export class SharedChildren {
  readonly #options: SharedChildrenOptions;
  readonly #children = new Map<string, SharedChild>();

  constructor(options: SharedChildrenOptions) {
    this.#options = options;
  }

  /** A session's line to the server's child; the first message says which revision it speaks. */
  connect(spec: SharedSpec, listener: ChannelListener): MessageChannel {
    return new SharedChannel((version) => this.#find(spec, version), listener);
  }

  /** Stops the children that may not go on. Their sessions MUST have been ended. */
  closeWhere(mayNotGoOn: (spec: SharedSpec) => boolean): void {
    for (const [key, child] of this.#children) {
      if (!mayNotGoOn(child.spec)) continue;
      this.#children.delete(key);
      child.close();
    }
  }

  #find(spec: SharedSpec, version: string): SharedChild {
    const key = `${spec.serverId} ${version} ${JSON.stringify(spec.configuration)}`;
    const child = this.#children.get(key) ?? new SharedChild(spec, version, this.#options);
    this.#children.set(key, child);
    return child;
  }
}

class SharedChild {
  readonly spec: SharedSpec;
  readonly #kept: KeptChild<BridgedChild>;
  readonly #version: string;
  readonly #onProblem: (text: string) => void;
  #wire: SharedWire | undefined;

  constructor(spec: SharedSpec, version: string, options: SharedChildrenOptions) {
    const { start, label } = spec;
    this.spec = spec;
    this.#kept = new KeptChild({ start, label, ...options });
    this.#version = version;
    this.#onProblem = (text) => options.onProblem(`server \`${label}\`: ${text}`);
  }

  /** Throws what a start throws, and `unavailable` during the pause after crashes. */
  async join(listener: ChannelListener): Promise<Membership> {
    const lease = await this.#kept.lease();
    if (this.#wire?.child !== lease.child) this.#wire = new SharedWire(lease.child, this.#version, this.#onProblem);
    const wire = this.#wire;
    const seat = wire.join(listener);
    const leave = (): void => {
      wire.leave(seat);
      lease.release();
    };
    return { wire, seat, leave };
  }

  close(): void {
    void this.#kept.close();
  }
}

interface Membership {
  readonly wire: SharedWire;
  readonly seat: Seat;
  leave(): void;
}

/** One session at a shared child. A client that does not read holds up nobody else: its messages wait here, up to a bound. */
class SharedChannel implements MessageChannel, ChannelListener {
  readonly #find: (version: string) => SharedChild;
  readonly #listener: ChannelListener;
  #membership: Membership | undefined;
  #isJoining = false;
  #isClosed = false;
  #isPaused = false;
  readonly #unsent = new WaitingMessages();
  #unread: Buffer[] = [];
  #unreadBytes = 0;

  constructor(find: (version: string) => SharedChild, listener: ChannelListener) {
    this.#find = find;
    this.#listener = listener;
  }

  send(message: Buffer, onTaken?: () => void): void {
    if (this.#isClosed) return onTaken?.();
    if (this.#membership !== undefined) return this.#membership.wire.send(this.#membership.seat, message, onTaken);
    if (!this.#unsent.add(message, onTaken)) {
      onTaken?.();
      return this.closed({ kind: "unavailable", text: "it takes too long to start" });
    }
    if (this.#isJoining) return;
    this.#isJoining = true;
    this.#find(versionIn(message))
      .join(this)
      .then(
        (membership) => this.#joined(membership),
        (error: unknown) => this.closed(faultOfStart(error)),
      );
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const unread = this.#unread;
    this.#unread = [];
    this.#unreadBytes = 0;
    for (const message of unread) this.message(message);
  }

  close(): void {
    this.#isClosed = true;
    this.#unsent.drop();
    this.#unread = [];
    this.#membership?.leave();
    this.#membership = undefined;
  }

  message(bytes: Buffer): void {
    if (this.#isClosed) return;
    if (!this.#isPaused) return this.#listener.message(bytes);
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes > MESSAGE_BYTES_MAX) this.closed({ kind: "reset", text: "the client does not read" });
  }

  closed(fault: Parameters<ChannelListener["closed"]>[0]): void {
    if (this.#isClosed) return;
    this.close();
    this.#listener.closed(fault);
  }

  #joined(membership: Membership): void {
    if (this.#isClosed) return membership.leave();
    this.#membership = membership;
    for (const { message, onTaken } of this.#unsent.take()) this.send(message, onTaken);
  }
}

function versionIn(opening: Buffer): string {
  const envelope = parseMessage(opening);
  const params = envelope?.kind === "request" ? envelope.params : undefined;
  const version = textAt(opening, memberOf(params, "protocolVersion"));
  return VERSIONS.find((known) => known === version) ?? NEWEST;
}
