import { resolve } from "node:path";
import type { Command } from "commander";
import { AppError } from "../lib/errors.ts";
import { readVariable } from "../lib/read-variable.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { readAgentKey } from "./agent-key.ts";
import { attempt } from "./attempt.ts";
import { addSkillCommands } from "./skill-commands.ts";
import { defaultDataDir, parseConfig, VARIABLES, type Config, type Environment } from "./config.ts";
import { addConnect } from "./connect-command.ts";

const PACKAGE_ROOT = resolve(import.meta.dirname, "../..");

/** The commands that run on the host itself: serving, keys of last resort, the bridge for clients without headers. */
export function addHostCommands(program: Command, settings: CliSettings): void {
  addServe(program, settings);
  addKeys(program, settings);
  addStdio(program, settings);
  addSkillCommands(program, settings);
  addConnect(program, settings);
}

function addServe(program: Command, settings: CliSettings): void {
  const command = program.command("serve").description("Serve the control plane and the gateway.");
  for (const [variable, description] of Object.entries(VARIABLES)) {
    command.option(`${toFlag(variable)} <value>`, `${description} [${variable}]`);
  }
  command.action((options: Record<string, string | undefined>) =>
    attempt(settings, async () => {
      const config = readConfig(settings, options);
      const { serve } = await import("./serve.ts");
      await serve(config, { write: settings.process.print });
    }),
  );
}

function addKeys(program: Command, settings: CliSettings): void {
  const keys = program
    .command("keys")
    .description("Keys of last resort, directly on the data directory while no server runs.");
  keys
    .command("create")
    .description("Make an owner key and print it once.")
    .option("--name <name>", "Unique name of the key", "host")
    .action(({ name }: { name: string }) =>
      attempt(settings, async () => {
        const config = readHostConfig(settings);
        const { createKeyOnHost } = await import("./host-keys.ts");
        settings.process.print(`${await createKeyOnHost(config, name)}\n`);
        settings.process.printError("this key is not shown again; store it now\n");
      }),
    );
  keys
    .command("rotate-master")
    .description("Put every stored secret under a new master key. No API key is invalidated.")
    .option("--new-key-file <path>", "The new key, where the old one comes from a variable or a file of yours")
    .action(({ newKeyFile }: { newKeyFile?: string }) =>
      attempt(settings, async () => {
        const config = readHostConfig(settings);
        const { rotateMasterKey } = await import("./host-keys.ts");
        const count = await rotateMasterKey(config, newKeyFile);
        settings.process.print(`${count} records are under the new master key\n`);
      }),
    );
}

function addStdio(program: Command, settings: CliSettings): void {
  program
    .command("stdio")
    .description("Join a client that only starts commands (Claude Desktop) to a gateway URL.")
    .requiredOption("--url <url>", "Gateway URL of a server")
    .option("--key-file <path>", "File that holds the agent's key; otherwise RUNLAYER_AGENT_KEY")
    .action(({ url, keyFile }: { url: string; keyFile?: string }) =>
      attempt(settings, async () => {
        const key = readAgentKey(settings.process.env, keyFile);
        if (!URL.canParse(url))
          throw new AppError(
            "invalid_input",
            "`--url` is no URL; give one such as `http://127.0.0.1:7420/gateway/github/mcp`",
          );
        const { bridgeStdio } = await import("../surfaces/cli/stdio-bridge.ts");
        const onProblem = (message: string): void => settings.process.printError(`runlayer: ${message}\n`);
        await bridgeStdio({ url: new URL(url), key, stdin: process.stdin, stdout: process.stdout, onProblem });
      }),
    );
}

/** Flags win over the environment. */
function readConfig({ process: { env } }: CliSettings, options: Readonly<Record<string, string | undefined>>): Config {
  const flags = Object.keys(VARIABLES).map((variable) => [variable, options[toOptionName(variable)] ?? env[variable]]);
  const environment: Environment = Object.fromEntries(flags);
  return parseConfig(environment, defaultDataDir(PACKAGE_ROOT));
}

function readHostConfig(settings: CliSettings): Config {
  if (readVariable(settings.process.env, "RUNLAYER_URL") !== undefined) {
    throw new AppError(
      "invalid_input",
      "`keys` works on the data directory; unset RUNLAYER_URL, or use `runlayer api-keys create` on the server",
    );
  }
  return readConfig(settings, {});
}

/** `RUNLAYER_DATA_DIR` → `--data-dir`. */
function toFlag(variable: string): string {
  return `--${variable.replace("RUNLAYER_", "").toLowerCase().replaceAll("_", "-")}`;
}

/** `RUNLAYER_DATA_DIR` → `dataDir`, as commander names it. */
function toOptionName(variable: string): string {
  return toFlag(variable)
    .slice(2)
    .replaceAll(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
