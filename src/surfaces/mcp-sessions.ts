import type { ServerResponse } from "node:http";
import { isInitializeRequest, type Server } from "@modelcontextprotocol/server";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { SessionTransport } from "../lib/session-transport.ts";
import type { Identity } from "./authentication.ts";
import type { AuthenticatedRequest } from "./mcp-protocol.ts";

/** Enough for every administrator's client; each session costs some kilobytes. */
const SESSIONS_MAX = 1_000;
const SESSIONS_PER_KEY_MAX = 100;
/** A client that is silent for so long starts a new session without noticing. */
const IDLE_MS_MAX = 30 * 60_000;
const IDLE_CHECK_MS = 30_000;

interface Session {
  readonly id: string;
  readonly keyId: string;
  readonly transport: SessionTransport;
  usedAt: number;
  /** Requests that are not answered in full, open streams among them. */
  openRequests: number;
  /** Its key is gone: nothing new comes in. */
  isEnded: boolean;
}

interface SessionRequest {
  readonly request: AuthenticatedRequest;
  readonly response: ServerResponse;
  readonly body: unknown;
  readonly identity: Identity;
}

/** Sessions of the 2025 revisions. Each belongs to the key that opened it; for every other key it does not exist. */
export interface McpSessions {
  handle(exchange: SessionRequest): Promise<void>;
  countByKey(keyId: string): number;
  endOfKey(keyId: string): void;
  close(): Promise<void>;
}

interface SessionSettings {
  readonly clock: Clock;
  readonly createServer: () => Server;
}

export function createMcpSessions({ clock, createServer }: SessionSettings): McpSessions {
  const sessions = new Map<string, Session>();
  const end = (session: Session): void => {
    sessions.delete(session.id);
    // Closing waits for nothing that matters here; a stream that is already gone is what is wanted.
    session.transport.close().catch(() => undefined);
  };
  const endWhere = (isMeant: (session: Session) => boolean): void => {
    for (const session of sessions.values()) if (isMeant(session)) end(session);
  };
  const isIdle = (session: Session): boolean =>
    session.openRequests === 0 && clock.now() - session.usedAt > IDLE_MS_MAX;
  const timer = setInterval(() => endWhere(isIdle), IDLE_CHECK_MS).unref();
  const countByKey = (keyId: string): number =>
    [...sessions.values()].filter((session) => session.keyId === keyId).length;
  const open = async (keyId: string): Promise<Session> => {
    refuseTooMany(sessions.size, countByKey(keyId));
    const id = newId();
    const transport = new SessionTransport({
      sessionIdGenerator: () => id,
      onsessionclosed: () => void sessions.delete(id),
    });
    const session: Session = { id, keyId, transport, usedAt: clock.now(), openRequests: 0, isEnded: false };
    await createServer().connect(transport);
    sessions.set(id, session);
    return session;
  };
  return {
    countByKey,
    async handle({ request, response, body, identity }) {
      const session = isInitializeRequest(body) ? await open(identity.keyId) : find(sessions, request, identity.keyId);
      track(session, response, clock);
      await session.transport.serve({ request, response, body });
      // A refused `initialize` leaves a transport without a session behind.
      if (session.transport.sessionId === undefined) end(session);
    },
    endOfKey(keyId) {
      for (const session of [...sessions.values()].filter((candidate) => candidate.keyId === keyId)) {
        sessions.delete(session.id);
        // A change under way is answered first (see `open-calls.ts`, which cuts the rest); the last one out closes.
        session.isEnded = true;
        if (session.openRequests === 0) end(session);
      }
    },
    async close() {
      clearInterval(timer);
      await Promise.allSettled([...sessions.values()].map((session) => session.transport.close()));
    },
  };
}

function refuseTooMany(total: number, ofKey: number): void {
  if (ofKey >= SESSIONS_PER_KEY_MAX) {
    throw new AppError("rate_limited", `this key has ${SESSIONS_PER_KEY_MAX} open sessions; end some with DELETE`);
  }
  if (total >= SESSIONS_MAX) throw new AppError("unavailable", "too many sessions are open; try again later");
}

function find(sessions: ReadonlyMap<string, Session>, request: AuthenticatedRequest, keyId: string): Session {
  const id = request.headers["mcp-session-id"];
  if (typeof id !== "string") {
    throw new AppError(
      "invalid_input",
      "no session: send `initialize` first, then its `Mcp-Session-Id` with each request",
    );
  }
  const session = sessions.get(id);
  // 404 tells the client to initialize anew (streamable HTTP, session management).
  if (session?.keyId !== keyId) throw new AppError("not_found", "there is no such session; send `initialize` again");
  return session;
}

function track(session: Session, response: ServerResponse, clock: Clock): void {
  session.usedAt = clock.now();
  session.openRequests += 1;
  response.once("close", () => {
    session.openRequests -= 1;
    session.usedAt = clock.now();
    if (session.isEnded && session.openRequests === 0) void session.transport.close();
  });
}
