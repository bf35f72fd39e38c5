import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import { asWritten } from "../as-written.ts";
import type { HandleContext } from "../context.ts";
import { LAUNCHER_PLACEHOLDER, toClientConfig } from "./client-config.ts";

/** How the agent's client reaches its servers. `config` holds the key. */
export const ConnectionOutput = z.object({
  url: z.string().describe("Gateway URL of all its servers and skills behind one connection"),
  servers: z.record(z.string(), z.string()).describe("Gateway URL by server name"),
  config: asWritten(z.string())
    .optional()
    .describe("Ready-to-paste client configuration; holds the key, so it is shown only once"),
  configPath: z.string().describe("Where this client reads it"),
  instructions: z
    .string()
    .optional()
    .describe("What is to be done before `config` works; absent where it works as it is"),
});

export async function toConnection(
  agent: Agent,
  key: string,
  { repositories, services }: Pick<HandleContext, "repositories" | "services">,
): Promise<z.output<typeof ConnectionOutput>> {
  const urls: Record<string, string> = {};
  for (const { serverId } of agent.assignments) {
    const { name } = await repositories.servers.get(serverId);
    urls[name] = `${services.publicUrl}/gateway/${name}/mcp`;
  }
  const config = toClientConfig(agent.type, { urls, key });
  return {
    url: `${services.publicUrl}/gateway/mcp`,
    servers: urls,
    config: config.text,
    configPath: config.path,
    ...(config.isBridged ? { instructions: bridgeInstructions(agent) } : {}),
  };
}

function bridgeInstructions({ name, type }: Agent): string {
  return `this client starts a command: on its machine, replace \`${LAUNCHER_PLACEHOLDER}\` in \`config\` by where Runlayer is there, or have \`node ${LAUNCHER_PLACEHOLDER} connect ${type} --agent ${name} --key-file FILE --write\`, called at that place, write the configuration; FILE holds \`key\``;
}
