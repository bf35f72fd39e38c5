import type { Clock } from "../lib/clock.ts";
import type { HandleScope, Sealer } from "./seal.ts";

/** An MCP session (2025-03-26 to 2025-11-25) between an agent and an upstream. */
export interface Session extends HandleScope {
  /** Ours, for the audit log and for administrators. */
  readonly id: string;
  /** What the client sends. */
  readonly sealed: string;
  readonly upstreamId: string;
  readonly openedAt: number;
  lastSeenAt: number;
  client: string | undefined;
  keyId: string;
}

/** A session as the control plane sees it. */
export interface LiveSession extends Pick<Session, "id" | "agentId" | "keyId" | "client" | "openedAt" | "lastSeenAt"> {
  /** Undefined for a session with all of the agent's servers. */
  readonly serverId: string | undefined;
}

/**
 * The sessions that this node has seen lately. The sealed id itself says whose session it is, so a session lives on after a
 * restart and on other nodes; the list is for people, metrics and the audit log.
 */
export interface Sessions {
  open(
    scope: HandleScope,
    facts: { id: string; upstreamId: string; keyId: string; client: string | undefined },
  ): Session;
  /** Undefined for an id that was not issued to this agent at this server, and for a session that has ended. */
  find(scope: HandleScope, sealed: string, keyId: string): Session | undefined;
  /** For good: the id that the client has is not accepted again here, whatever it says of itself. False where it had ended before. */
  end(session: Session): boolean;
  list(): readonly Session[];
  /** Forgets and gives the sessions that were silent since `before`. */
  takeIdle(before: number): readonly Session[];
  readonly count: number;
}

/** Beyond this the one that was silent longest is forgotten; its client does not notice. */
const SESSIONS_MAX = 20_000;
/** What is forgotten here, and with a restart, the upstream still refuses where it was told of the end or told us. */
const ENDED_MAX = 20_000;

export function createSessions(sealer: Sealer, clock: Clock): Sessions {
  const live = new Map<string, Session>();
  const ended = new Set<string>();
  const add = (session: Session): Session => {
    live.set(session.sealed, session);
    const [oldest] = live.keys();
    if (live.size > SESSIONS_MAX && oldest !== undefined) live.delete(oldest);
    return session;
  };
  return {
    open(scope, { id, upstreamId, keyId, client }) {
      const now = clock.now();
      const sealed = sealer.seal("session", scope, `${id} ${upstreamId}`);
      return add({ ...scope, id, sealed, upstreamId, openedAt: now, lastSeenAt: now, client, keyId });
    },
    find(scope, sealed, keyId) {
      const known = live.get(sealed);
      if (known !== undefined) return isOf(known, scope) ? touch(known, keyId) : undefined;
      if (ended.has(sealed)) return undefined;
      const opened = sealer.open("session", scope, sealed);
      if (opened === undefined) return undefined;
      const [id, upstreamId] = splitOnce(opened);
      const now = clock.now();
      return add({ ...scope, id, sealed, upstreamId, openedAt: now, lastSeenAt: now, client: undefined, keyId });
    },
    end({ sealed }) {
      live.delete(sealed);
      if (ended.has(sealed)) return false;
      ended.add(sealed);
      const [oldest] = ended;
      if (ended.size > ENDED_MAX && oldest !== undefined) ended.delete(oldest);
      return true;
    },
    list: () => [...live.values()],
    takeIdle(before) {
      const idle = [...live.values()].filter((session) => session.lastSeenAt < before);
      for (const { sealed } of idle) live.delete(sealed);
      return idle;
    },
    get count() {
      return live.size;
    },
  };

  function touch(session: Session, keyId: string): Session {
    session.lastSeenAt = clock.now();
    session.keyId = keyId;
    return session;
  }
}

function isOf(session: Session, { agentId, serverId }: HandleScope): boolean {
  return session.agentId === agentId && session.serverId === serverId;
}

function splitOnce(text: string): readonly [string, string] {
  const at = text.indexOf(" ");
  return [text.slice(0, at), text.slice(at + 1)];
}
