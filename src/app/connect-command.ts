import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { AppError } from "../lib/errors.ts";
import { readVariable } from "../lib/read-variable.ts";
import type { ClientConfig } from "../operations/agents/client-config.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { toExitCode } from "../surfaces/cli/exit-codes.ts";
import { connectClient, type Connected } from "../surfaces/cli/connect-client.ts";
import { apiTarget } from "../surfaces/cli/run-operation.ts";
import { visible } from "../sweep/server-rules.ts";
import { findDirect } from "./find-direct.ts";
import { attempt } from "./attempt.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/runlayer.js");
const CLIENT = /^[a-z0-9][a-z0-9-]{0,62}$/;

interface ConnectOptions {
  readonly agent: string;
  readonly keyFile?: string;
  readonly rotateKey?: boolean;
  readonly write?: boolean;
  readonly path?: string;
  readonly replace?: boolean;
  readonly json?: boolean;
}

/** `runlayer connect`: the configuration of an agent's client, printed or written into the file that the client reads. */
export function addConnect(program: Command, settings: CliSettings): void {
  program
    .command("connect")
    .description("Print or write the configuration that joins an AI client to its servers through the gateway.")
    .argument(
      "<client>",
      "claude-desktop, claude-code, cursor, vscode-copilot, windsurf, codex, gemini-cli, openclaw, or your own word",
    )
    .requiredOption("--agent <agent>", "Agent that the client is, by name or id")
    .option("--key-file <path>", "File that holds the agent's key")
    .option("--rotate-key", "Issue a new key instead; the old one stops at once")
    .option("--write", "Write it where the client reads it: merged, mode 0600, the old file kept beside it")
    .option("--path <path>", "Write to this file instead; means --write")
    .option(
      "--replace",
      "Replace servers of the same name that point elsewhere, and entries that go around the gateway",
    )
    .option("--json", "Print the answer as JSON")
    .action((client: string, options: ConnectOptions) =>
      attempt(
        settings,
        async () => {
          const target = apiTarget(settings.process);
          report(settings, options, await connectClient(toRequest(client, options, settings), target));
        },
        options.json,
      ),
    );
}

function toRequest(client: string, options: ConnectOptions, { process: { env } }: CliSettings) {
  const { agent, keyFile, rotateKey = false, write = false, path, replace = false } = options;
  if (!CLIENT.test(client))
    throw new AppError("invalid_input", `\`${client}\` is no client; a valid one is claude-code`);
  if ((keyFile === undefined) !== rotateKey) {
    throw new AppError(
      "invalid_input",
      "give either `--key-file`, or `--rotate-key` for a new key in place of the old",
    );
  }
  const place = (config: ClientConfig): string =>
    path === undefined ? configPath(client, config, env) : resolve(path);
  return {
    client,
    agent,
    key: keyFile === undefined ? undefined : readAgentKey(keyFile),
    bridge: { command: process.execPath, args: [LAUNCHER] },
    place: write || path !== undefined ? place : undefined,
    mayReplace: replace,
    findDirect,
  };
}

function readAgentKey(path: string): string {
  const key = readText(path).trim();
  if (/^rl_agent_[a-z0-9]+$/.test(key)) return key;
  throw new AppError(
    "invalid_input",
    `\`${path}\` holds no agent key; it should be one line that starts with rl_agent_`,
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new AppError("invalid_input", `\`${path}\` cannot be read; name the file that holds the agent's key`, {
      cause: error,
    });
  }
}

type Env = Readonly<Record<string, string | undefined>>;

/** The file that this client reads on this machine; a project's file is the one of the working directory. */
function configPath(client: string, { path }: ClientConfig, env: Env): string {
  const home = readVariable(env, "HOME") ?? homedir();
  const codexHome = readVariable(env, "CODEX_HOME");
  if (client === "claude-desktop") return join(userDataFolder(home, env), "Claude", path);
  if (client === "codex" && codexHome !== undefined) return join(codexHome, "config.toml");
  return path.startsWith("~/") ? join(home, path.slice(2)) : resolve(path);
}

function userDataFolder(home: string, env: Env): string {
  if (process.platform === "darwin") return join(home, "Library", "Application Support");
  if (process.platform === "win32") return readVariable(env, "APPDATA") ?? join(home, "AppData", "Roaming");
  return readVariable(env, "XDG_CONFIG_HOME") ?? join(home, ".config");
}

function report(settings: CliSettings, options: ConnectOptions, connected: Connected): void {
  const { print, printError } = settings.process;
  const { agent, status, config, written, direct } = connected;
  if (options.rotateKey === true) printError(`note: agent \`${agent}\` has a new key; the old one has stopped\n`);
  if (status !== "active") printError(`note: agent \`${agent}\` is ${status}; the gateway refuses it\n`);
  const servers = Object.keys(config.entries);
  if (written !== undefined && "error" in written) {
    const { code, message } = written.error;
    print(
      options.json === true
        ? toJson({ agent, servers, ...toPaste(config), error: { code, message } })
        : `${config.text}\n`,
    );
    printError(`runlayer: ${message}\n`);
    return settings.setExitCode(toExitCode(code));
  }
  if (options.json === true) {
    print(toJson({ agent, servers, ...(written === undefined ? toPaste(config) : { written, direct }) }));
  } else if (written === undefined) {
    print(`${config.text}\n`);
    printError(`note: this holds the agent's key; it belongs into ${config.path}, or use --write\n`);
  } else {
    const kept = written.backup === undefined ? "" : `; the file as it was: ${written.backup}`;
    print(`${servers.join(", ")} written to ${written.path}${kept}\n`);
    if (!config.path.startsWith("~")) printError("note: it holds the agent's key; keep it out of version control\n");
    for (const entry of direct) printError(`note: ${toNote(entry, options.replace === true)}\n`);
  }
}

function toPaste({ path, text }: ClientConfig) {
  return { configPath: path, config: text };
}

function toJson(answer: object): string {
  return `${JSON.stringify(answer, null, 2)}\n`;
}

function toNote({ name, server }: Connected["direct"][number], isReplaced: boolean): string {
  // A file says what its entries are called.
  const entry = `entry \`${visible(name)}\``;
  return isReplaced
    ? `${entry} went straight to \`${server}\`; the entry of the gateway took its place`
    : `${entry} goes straight to \`${server}\`: no policy and no audit apply; add --replace to route it through the gateway`;
}
