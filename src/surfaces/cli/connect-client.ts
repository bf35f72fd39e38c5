import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { toClientConfig, type BridgeCommand, type ClientConfig } from "../../operations/agents/client-config.ts";
import { getAgent } from "../../operations/agents/get-agent.ts";
import { updateAgent } from "../../operations/agents/update-agent.ts";
import { getMcpServer } from "../../operations/servers/get-mcp-server.ts";
import { listMcpServers } from "../../operations/servers/list-mcp-servers.ts";
import { allPages, PAGE_ROWS } from "./all-pages.ts";
import { type ApiTarget, callOrThrow } from "./call-api.ts";
import { type DirectEntry, mergeConfig, type MergedConfig } from "./merge-config.ts";
import { draftPrivately, readIfThere, writePrivately } from "./private-file.ts";

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
  /** Tells which of these servers an entry of a client goes straight to, by name. */
  readonly findDirect: (servers: readonly ConnectServer[]) => (entry: unknown) => string | undefined;
}

/** A server of the agent: where the gateway has it, and its own address or command. */
export type ConnectServer = z.output<typeof ServerAnswer>;

/** What was done; `config` holds the key. */
export interface Connected {
  readonly agent: string;
  readonly status: string;
  readonly config: ClientConfig;
  readonly written: Written | undefined;
  /** Entries of the file that go around the gateway under another name; replaced where that was allowed. */
  readonly direct: readonly DirectEntry[];
}

/** A new key that did not get into its file after all is in `config` only; `error` says why. */
export type Written =
  | { readonly path: string; readonly backup: string | undefined }
  | { readonly path: string; readonly error: AppError };

const AgentAnswer = z.object({
  agent: z.object({ name: z.string(), status: z.string(), key: z.object({ hint: z.string() }).nullable() }),
});
const RotateAnswer = z.object({ key: z.string() });
const ServerAnswer = z.object({
  id: z.string(),
  name: z.string(),
  transport: z.string(),
  gatewayUrl: z.string(),
  url: z.string().optional(),
  command: z.string().optional(),
  args: z.array(z.string()).optional(),
});
const ServersAnswer = z.object({
  items: z.array(ServerAnswer),
  nextCursor: z.string().optional(),
});

/** Stands for a key that is not there yet, and takes at least its room. */
const NOT_YET = "the-new-key".padEnd(128, "-");

/**
 * Makes the configuration of an agent's client and writes it where asked. A new key is issued only after the file has proved
 * fit to take it, and its folder too. Throws what the server or the file refused before.
 */
export async function connectClient(request: ConnectRequest, target: ApiTarget): Promise<Connected> {
  const { agent } = AgentAnswer.parse(await callOrThrow(getAgent, { id: request.agent }, target));
  if (request.key !== undefined) requireOwnKey(request.key, agent);
  const servers = await listServers(request.agent, target);
  if (servers.length === 0) {
    throw new AppError(
      "invalid_input",
      `agent \`${agent.name}\` has no servers; assign one with \`runlayer agents update ${agent.name} --add-servers NAME\``,
    );
  }
  const urls = Object.fromEntries(servers.map(({ name, gatewayUrl }) => [name, gatewayUrl]));
  const configure = (key: string): ClientConfig =>
    toClientConfig(request.client, { urls, key, bridge: request.bridge });
  const path = request.place?.(configure(NOT_YET));
  const options = { urls, mayReplace: request.mayReplace, directTo: request.findDirect(servers) };
  const merge = (config: ClientConfig): MergedConfig =>
    path === undefined
      ? { text: config.text, direct: [] }
      : mergeConfig(readIfThere(path), config, { ...options, path });
  const issueKey = (): Promise<string> => rotateKey(request.agent, target);
  const done =
    request.key === undefined
      ? await takeNewKey({ path, configure, merge, issueKey })
      : takeKey(request.key, { path, configure, merge });
  return { agent: agent.name, status: agent.status, ...done };
}

/** A hint ends with as many of the key's own (contract section 2). */
const HINT_CHARACTERS = 4;

/** A file from before a rotation, or of another agent, would put a key into the client that does not work, or not as this agent. */
function requireOwnKey(key: string, agent: z.output<typeof AgentAnswer>["agent"]): void {
  if (agent.key?.hint.slice(-HINT_CHARACTERS) === key.slice(-HINT_CHARACTERS)) return;
  const own = agent.key === null ? "which has none" : `whose key is \`${agent.key.hint}\``;
  throw new AppError(
    "invalid_input",
    `\`--key-file\` holds no key of agent \`${agent.name}\`, ${own}; name the file of that key, or use \`--rotate-key\` for a new one`,
  );
}

interface Making {
  readonly path: string | undefined;
  readonly configure: (key: string) => ClientConfig;
  readonly merge: (config: ClientConfig) => MergedConfig;
}

type Made = Pick<Connected, "config" | "written" | "direct">;

function takeKey(key: string, { path, configure, merge }: Making): Made {
  const config = configure(key);
  const { text, direct } = merge(config);
  const written = path === undefined ? undefined : { path, backup: writePrivately(path, text) };
  return { config, written, direct };
}

/** The old key has stopped once there is a new one: all that can fail is done before, and what fails afterwards is told. */
async function takeNewKey(making: Making & { readonly issueKey: () => Promise<string> }): Promise<Made> {
  const { path, configure, merge, issueKey } = making;
  const { text: trial, direct } = merge(configure(NOT_YET));
  if (path === undefined) return { config: configure(await issueKey()), written: undefined, direct };
  const draft = draftPrivately(path, trial);
  const key = await issueKey().catch((error: unknown) => {
    draft.discard();
    throw error;
  });
  const config = configure(key);
  try {
    draft.finish(() => merge(config).text);
    return { config, written: { path, backup: draft.backup }, direct };
  } catch (error) {
    const reason = error instanceof Error ? error.message : "for no known reason";
    const message = `\`${path}\` could not be written (${reason}); paste what is printed, it holds the new key`;
    return { config, written: { path, error: new AppError("conflict", message, { cause: error }) }, direct };
  }
}

async function listServers(agent: string, target: ApiTarget): Promise<readonly ConnectServer[]> {
  const servers: ConnectServer[] = [];
  const read = async (cursor: string | undefined) =>
    ServersAnswer.parse(await callOrThrow(listMcpServers, { agent, limit: PAGE_ROWS, cursor }, target));
  for await (const page of allPages(read))
    for (const server of page.items) servers.push(await withArguments(server, target));
  return servers;
}

/** The list leaves out what tells one stdio server from another. */
async function withArguments(server: ConnectServer, target: ApiTarget): Promise<ConnectServer> {
  if (server.command === undefined) return server;
  const answer = await callOrThrow(getMcpServer, { id: server.id }, target);
  return z.object({ server: ServerAnswer }).parse(answer).server;
}

async function rotateKey(agent: string, target: ApiTarget): Promise<string> {
  return RotateAnswer.parse(await callOrThrow(updateAgent, { id: agent, rotateKey: true }, target)).key;
}
