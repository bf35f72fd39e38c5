import type { Command } from "commander";
import { AppError } from "../lib/errors.ts";
import { readVariable } from "../lib/read-variable.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { readAgentKey } from "./agent-key.ts";
import { attempt } from "./attempt.ts";
import { addSkillCommands } from "./skill-commands.ts";
import type { Config } from "./config.ts";
import { addConnect } from "./connect-command.ts";
import { readConfig } from "./serve-command.ts";

/** The commands that run on the host itself beside `serve`: keys of last resort, the bridge for clients without headers. */
export function addHostCommands(program: Command, settings: CliSettings): void {
  addKeys(program, settings);
  addStdio(program, settings);
  addSkillCommands(program, settings);
  addConnect(program, settings);
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

function readHostConfig(settings: CliSettings): Config {
  if (readVariable(settings.process.env, "RUNLAYER_URL") !== undefined) {
    throw new AppError(
      "invalid_input",
      "`keys` works on the data directory; unset RUNLAYER_URL, or use `runlayer api-keys create` on the server",
    );
  }
  return readConfig(settings, {});
}
