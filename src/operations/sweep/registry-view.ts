import { keyStatus } from "../../domain/api-key.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { identify } from "../../sweep/identity.ts";
import type { RegisteredServer, Registry } from "../../sweep/match.ts";
import { toClientConfig } from "../agents/client-config.ts";

/** What is registered, in the form that sightings are matched with. */
export function toRegistry(snapshot: Snapshot, publicUrl: string, now: number): Registry {
  const keyHints = keyHintsByAgent(snapshot, now);
  return {
    servers: [...snapshot.serverById.values()].map(({ server, secrets }) => ({
      id: server.id,
      name: server.name,
      transport: server.transport,
      url: server.url ?? undefined,
      command: server.command ?? undefined,
      args: server.transport === "stdio" ? secrets().args : [],
      gatewayUrl: `${publicUrl}/gateway/${server.name}/mcp`,
    })),
    // One that is suspended accounts for nothing that runs.
    agents: [...snapshot.agentById.values()].flatMap(({ agent: { id, name, type, status } }) =>
      status === "active" ? [{ id, name, type, keyHints: keyHints.get(id) ?? [] }] : [],
    ),
    skills: [...snapshot.skillById.values()].flatMap(({ skill: { id, name }, serving }) =>
      serving === undefined ? [] : [{ id, name, digest: serving.digest }],
    ),
    gatewayUrls: [publicUrl],
    configurationOf,
  };
}

function keyHintsByAgent({ keyById }: Snapshot, now: number): ReadonlyMap<string, readonly string[]> {
  const hints = new Map<string, string[]>();
  for (const key of keyById.values()) {
    const { agentId, hint } = key;
    if (agentId === null || keyStatus(key, now) !== "active") continue;
    const known = hints.get(agentId);
    if (known === undefined) hints.set(agentId, [hint]);
    else known.push(hint);
  }
  return hints;
}

/** Our names for clients are those of agent types, but that Copilot is an agent in several editors. */
const AGENT_TYPES: ReadonlyMap<string, string> = new Map(
  ["vscode", "vscode-insiders", "vscodium"].map((client) => [client, "vscode-copilot"]),
);

function configurationOf(client: string, { name, gatewayUrl = "" }: RegisteredServer): string {
  const target = { urls: { [name]: gatewayUrl }, key: "<agent key>" };
  const { format, text } = toClientConfig(AGENT_TYPES.get(client) ?? client, target);
  return format === "json" ? text.replaceAll(/\n\s*/g, "") : text.trim();
}

/** Finds the registered server that an identity belongs to, by the server alone or by its exact version. */
export function createServerFinder(registry: Registry, identityKey: string): (identity: string) => string | undefined {
  const ids = new Map(
    registry.servers.flatMap((server) => {
      const { family, exact } = identify(server, identityKey);
      return [
        [family, server.id],
        [exact, server.id],
      ] as const;
    }),
  );
  // The exact key of a package is its family, `@` and a hash: a drifted version differs in the hash alone.
  return (identity) => ids.get(identity) ?? ids.get(identity.replace(/@[0-9a-f]{16}$/, ""));
}
