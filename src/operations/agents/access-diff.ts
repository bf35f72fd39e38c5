import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import type { Repositories } from "../../store/ports.ts";

const Named = z.object({ id: z.string(), name: z.string() });

/** What an agent may reach now and could not before, and the other way round. */
export const AccessDiff = z.object({
  gained: z.array(Named).describe("Servers it may reach now"),
  lost: z.array(Named).describe("Servers it may no longer reach"),
  changed: z.array(Named).describe("Servers with other limits"),
});

export async function diffAccess(
  before: Agent,
  after: Agent,
  { servers }: Repositories,
): Promise<z.output<typeof AccessDiff>> {
  const old = new Map(before.assignments.map((assignment) => [assignment.serverId, assignment]));
  const current = new Map(after.assignments.map((assignment) => [assignment.serverId, assignment]));
  const named = async (ids: readonly string[]) =>
    Promise.all(ids.map(async (id) => ({ id, name: (await servers.find(id))?.name ?? id })));
  const kept = [...current.keys()].filter((id) => old.has(id));
  return {
    gained: await named([...current.keys()].filter((id) => !old.has(id))),
    lost: await named([...old.keys()].filter((id) => !current.has(id))),
    changed: await named(kept.filter((id) => !isDeepStrictEqual(old.get(id), current.get(id)))),
  };
}
