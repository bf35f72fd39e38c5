import { z } from "zod";
import { toRfc3339 } from "../../lib/clock.ts";
import { escapeHiddenText } from "../../lib/escape-hidden.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { LiveSession } from "../services.ts";

const CLIENT_CHARACTERS_MAX = 200;
const Named = z.object({ id: z.string(), name: z.string() });

export const SessionOutput = z.object({
  id: z.string(),
  agent: Named,
  server: Named.optional().describe("Absent for a session with all of the agent's servers"),
  key: z.object({ id: z.string(), hint: z.string() }),
  client: z.string().optional().describe("What the client says that it is"),
  openedAt: z.string(),
  lastSeenAt: z.string(),
});

export function showSession(session: LiveSession, snapshot: Snapshot): z.output<typeof SessionOutput> {
  const { id, agentId, serverId, keyId, client, openedAt, lastSeenAt } = session;
  const agent = snapshot.agentById.get(agentId)?.agent;
  const server = serverId === undefined ? undefined : snapshot.serverById.get(serverId)?.server;
  return {
    id,
    agent: { id: agentId, name: agent?.name ?? agentId },
    ...(serverId === undefined ? {} : { server: { id: serverId, name: server?.name ?? serverId } }),
    key: { id: keyId, hint: snapshot.keyById.get(keyId)?.hint ?? "" },
    ...(client === undefined ? {} : { client: escapeHiddenText(client, CLIENT_CHARACTERS_MAX) }),
    openedAt: toRfc3339(openedAt),
    lastSeenAt: toRfc3339(lastSeenAt),
  };
}
