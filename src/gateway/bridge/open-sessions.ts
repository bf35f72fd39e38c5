import type { HandleScope } from "../seal.ts";
import type { BridgedSession } from "./bridged-session.ts";
import type { Configuration } from "./configuration.ts";

export interface OpenSession {
  readonly session: BridgedSession;
  readonly agentId: string;
  readonly serverId: string;
  readonly configuration: Configuration;
  /** Since when its credential is one of before. */
  outdatedAt: number | undefined;
}

/** A session is found by nobody but whose it is. */
export function findSession(
  sessions: ReadonlyMap<string, OpenSession>,
  { agentId, serverId }: HandleScope,
  id: string,
): BridgedSession | undefined {
  const open = sessions.get(id);
  return open?.agentId === agentId && open.serverId === serverId ? open.session : undefined;
}

/** Ends the agent's own session that is idle longest where it has too many; false where all of them are in use. */
export function makeRoom(sessions: ReadonlyMap<string, OpenSession>, agentId: string, max: number): boolean {
  const own = [...sessions.values()].filter((open) => open.agentId === agentId).map(({ session }) => session);
  if (own.length < max) return true;
  const [oldest] = own.filter(({ isBusy }) => !isBusy).toSorted((left, right) => left.lastUsedAt - right.lastUsedAt);
  oldest?.end();
  return oldest !== undefined;
}

export function endIdle(sessions: ReadonlyMap<string, OpenSession>, before: number): void {
  for (const { session } of sessions.values()) if (!session.isBusy && session.lastUsedAt < before) session.end();
}
