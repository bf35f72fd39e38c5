import type { Command } from "commander";
import { AppError } from "../lib/errors.ts";
import { toVisibleJson } from "../lib/escape-hidden.ts";
import { readVariable } from "../lib/read-variable.ts";
import { createApiKey } from "../operations/api-keys/create-api-key.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { callOrThrow } from "../surfaces/cli/call-api.ts";
import { apiTarget } from "../surfaces/cli/run-operation.ts";
import { readAgentKey } from "./agent-key.ts";
import { attempt } from "./attempt.ts";
import { addSkillCommands } from "./skill-commands.ts";
import { addConnect } from "./connect-command.ts";
import { VARIABLES } from "./config.ts";
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
    .description("Keys of last resort: an owner key for whoever lost theirs, a new master key.");
  keys
    .command("create")
    .description("Make an owner key and print it once: on the server at RUNLAYER_URL, or on the data directory.")
    .option("--name <name>", "Unique name of the key", "host")
    .option(...DATA_DIR)
    .option("--json", "Print the answer as JSON")
    .action(({ name, json, dataDir }: DataDirFlag & { readonly name: string; readonly json?: boolean }) =>
      attempt(
        settings,
        async () => {
          const { print, printError } = settings.process;
          const { made, where } = await createKey(name, settings, dataDir);
          print(json === true ? `${toVisibleJson(made)}\n` : `${String(made["secret"])}\n`);
          printError(`made in ${where}\nthis key is not shown again; store it now\n`);
        },
        json,
      ),
    );
  keys
    .command("rotate-master")
    .description("Put every stored secret under a new master key. No API key is invalidated.")
    .option("--new-key-file <path>", "The new key, where the old one comes from a variable or a file of yours")
    .option(...DATA_DIR)
    .option("--json", "Print the answer as JSON")
    .action(({ newKeyFile, json, dataDir }: DataDirFlag & { readonly newKeyFile?: string; readonly json?: boolean }) =>
      attempt(
        settings,
        async () => {
          if (dataDir === undefined) refuseUrl(settings);
          const { rotateMasterKey } = await import("./host-keys.ts");
          const records = await rotateMasterKey(readConfig(settings, { dataDir }), newKeyFile);
          const line = `${records} records are under the new master key`;
          settings.process.print(`${json === true ? toVisibleJson({ records }) : line}\n`);
        },
        json,
      ),
    );
}

const DATA_DIR = ["--data-dir <value>", `${VARIABLES.RUNLAYER_DATA_DIR} [RUNLAYER_DATA_DIR]`] as const;

/** The flag wins over a RUNLAYER_URL, as a flag does over every variable. */
interface DataDirFlag {
  readonly dataDir?: string;
}

interface MadeKey {
  readonly made: Readonly<Record<string, unknown>>;
  readonly where: string;
}

/** Where a server is named, it makes the key, as create_api_key: with a key of its caller that may. */
async function createKey(name: string, settings: CliSettings, dataDir: string | undefined): Promise<MadeKey> {
  if (dataDir === undefined && hasUrl(settings)) return createKeyOnServer(name, settings);
  const { createKeyOnHost } = await import("./host-keys.ts");
  return createKeyOnHost(readConfig(settings, { dataDir }), name);
}

async function createKeyOnServer(name: string, settings: CliSettings): Promise<MadeKey> {
  const target = apiTarget(settings.process);
  try {
    return { made: await callOrThrow(createApiKey, { name, role: "owner" }, target), where: target.url };
  } catch (error) {
    const isOutOfReach = error instanceof AppError && ["unavailable", "unauthenticated"].includes(error.code);
    if (!isOutOfReach) throw error;
    // Whoever lost the key cannot show one, and a server that is not there makes none.
    const advice = "; if you lost the key, stop the server and unset RUNLAYER_URL to use the data directory";
    throw new AppError(error.code, `${error.message}${advice}`, { cause: error });
  }
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
        if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ""))
          throw new AppError(
            "invalid_input",
            "`--url` is no http or https URL; give one such as `http://127.0.0.1:7420/gateway/github/mcp`",
          );
        const { bridgeStdio } = await import("../surfaces/cli/stdio-bridge.ts");
        const onProblem = (message: string): void => settings.process.printError(`runlayer: ${message}\n`);
        const { stdin, stdout } = process;
        const stop = new AbortController();
        for (const name of ["SIGTERM", "SIGINT"]) process.once(name, () => stop.abort());
        await bridgeStdio({ url: new URL(url), key, stdin, stdout, onProblem, stop: stop.signal });
      }),
    );
}

function refuseUrl(settings: CliSettings): void {
  if (!hasUrl(settings)) return;
  throw new AppError(
    "invalid_input",
    "`keys rotate-master` works on the data directory while no server runs; unset RUNLAYER_URL to use it",
  );
}

function hasUrl({ process: { env } }: CliSettings): boolean {
  return readVariable(env, "RUNLAYER_URL") !== undefined;
}
