import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { toClientConfig, type BridgeCommand, type ClientConfig } from "../../operations/agents/client-config.ts";
import { getAgent } from "../../operations/agents/get-agent.ts";
import { updateAgent } from "../../operations/agents/update-agent.ts";
import { listMcpServers } from "../../operations/servers/list-mcp-servers.ts";
import { type ApiTarget, callOrThrow } from "./call-api.ts";
import { mergeConfig } from "./merge-config.ts";
import { readIfThere, writePrivately } from "./private-file.ts";

export interface ConnectRequest {
  readonly client: string;
  /** Name or id. */
  readonly agent: string;
  /** The agent's key; undefined rotates it. */
  readonly key: string | undefined;
  readonly bridge: BridgeCommand;
  /** The file to write; undefined writes none. Gets the path that the client reads. */
  readonly place: ((config: ClientConfig) => string) | undefined;
  readonly mayReplace: boolean;
}

/** What was done; `config` holds the key. */
export interface Connected {
  readonly agent: string;
  readonly status: string;
  readonly config: ClientConfig;
  readonly written: { readonly path: string; readonly backup: string | undefined } | undefined;
}

const AgentAnswer = z.object({ agent: z.object({ name: z.string(), status: z.string() }) });
const RotateAnswer = z.object({ key: z.string() });
const ServersAnswer = z.object({
  items: z.array(z.object({ name: z.string(), gatewayUrl: z.string() })),
  nextCursor: z.string().optional(),
});

const PAGE_ROWS = 200;
const NOT_YET = "the-new-key";

/**
 * Makes the configuration of an agent's client and writes it where asked. A new key is issued only after the file has proved
 * fit to take it. Throws what the server or the file refused.
 */
export async function connectClient(request: ConnectRequest, target: ApiTarget): Promise<Connected> {
  const { agent } = AgentAnswer.parse(await callOrThrow(getAgent, { id: request.agent }, target));
  const urls = await gatewayUrls(request.agent, target);
  if (Object.keys(urls).length === 0) {
    throw new AppError(
      "invalid_input",
      `agent \`${agent.name}\` has no servers; assign one with \`runlayer agents update ${agent.name} --add-servers NAME\``,
    );
  }
  const configure = (key: string): ClientConfig =>
    toClientConfig(request.client, { urls, key, bridge: request.bridge });
  const path = request.place?.(configure(NOT_YET));
  const merge = (config: ClientConfig): string =>
    path === undefined
      ? config.text
      : mergeConfig(readIfThere(path), config, { path, urls, mayReplace: request.mayReplace });
  merge(configure(request.key ?? NOT_YET));
  const config = configure(request.key ?? (await rotateKey(request.agent, target)));
  const written = path === undefined ? undefined : { path, backup: writePrivately(path, merge(config)) };
  return { agent: agent.name, status: agent.status, config, written };
}

async function gatewayUrls(agent: string, target: ApiTarget): Promise<Readonly<Record<string, string>>> {
  const urls: Record<string, string> = {};
  let cursor: string | undefined;
  do {
    const input = { agent, limit: PAGE_ROWS, cursor };
    const page = ServersAnswer.parse(await callOrThrow(listMcpServers, input, target));
    for (const { name, gatewayUrl } of page.items) urls[name] = gatewayUrl;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return urls;
}

async function rotateKey(agent: string, target: ApiTarget): Promise<string> {
  return RotateAnswer.parse(await callOrThrow(updateAgent, { id: agent, rotateKey: true }, target)).key;
}
