import { Command, CommanderError } from "commander";
import { assert } from "../../lib/assert.ts";
import type { Operation } from "../../operations/define-operation.ts";
import { inputSchema } from "../json-schemas.ts";
import { toRoute } from "../routes.ts";
import { EXIT } from "./exit-codes.ts";
import { findJsonFault, readOption, toKebabCase, toOptions } from "./fields.ts";
import { runOperation } from "./run-operation.ts";
import { withoutValues } from "./usage-error.ts";

/** What the CLI has of the process it runs in. */
export interface CliProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** Asks a person; undefined where nobody is there to ask. */
  readonly confirm: ((message: string) => Promise<boolean>) | undefined;
}

export interface CliSettings {
  readonly operations: readonly Operation[];
  readonly version: string;
  readonly process: CliProcess;
  /** Takes the exit code of the command that ran. */
  readonly setExitCode: (code: number) => void;
}

/** The CLI: a command for each operation. The program adds its own (`serve`, `keys`, …) before it calls `runCli`. */
export function buildCli(settings: CliSettings): Command {
  const { process } = settings;
  // Positional options: `--version` behind a command is the command's own.
  const program = new Command("runlayer")
    .description("Governs an organization's MCP servers, agents and skills.")
    .version(settings.version)
    .addHelpText("after", "\nThe server is RUNLAYER_URL (http://127.0.0.1:7420), the key RUNLAYER_API_KEY.")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.print(text),
      writeErr: (text) => process.printError(text),
      outputError: (text, write) => write(withoutValues(text)),
    });
  for (const operation of settings.operations) addCommand(program, operation, settings);
  return program;
}

/** Parses and runs. Usage errors set exit code 2; help and version set 0. */
export async function runCli(program: Command, argv: readonly string[], settings: CliSettings): Promise<void> {
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    settings.setExitCode(error.exitCode === 0 ? EXIT.done : EXIT.usage);
  }
}

function addCommand(program: Command, operation: Operation, settings: CliSettings): void {
  const [group = "", verb, ...rest] = operation.command.split(" ");
  assert(verb !== undefined && rest.length === 0, `${operation.name} has a command of two words`);
  const { properties, required } = inputSchema(operation);
  const { parameters } = toRoute(operation);
  const command = groupCommand(program, group)
    .command(verb)
    .summary(operation.title)
    .description(operation.description);
  for (const name of parameters) command.argument(`<${name}>`, properties[name]?.description);
  for (const [name, schema] of Object.entries(properties)) {
    if (parameters.includes(name)) continue;
    const [option, ...opposite] = toOptions(name, schema);
    if (option !== undefined) command.addOption(option.makeOptionMandatory(required.includes(name)));
    for (const other of opposite) command.addOption(other);
  }
  command.option("--json", "Print the answer as JSON").action(async () => {
    const options: Readonly<Record<string, unknown>> = command.opts();
    for (const [name, schema] of Object.entries(properties)) {
      const fault = findJsonFault(options[name], schema);
      if (fault !== undefined) command.error(`error: --${toKebabCase(name)} ${fault}`);
    }
    const fields = Object.entries(properties).map(([name, schema]) => {
      const position = parameters.indexOf(name);
      return [name, position >= 0 ? command.args[position] : readOption(options[name], schema)] as const;
    });
    const input = Object.fromEntries(fields.filter(([, value]) => value !== undefined));
    const isJson = options["json"] === true;
    settings.setExitCode(await runOperation({ operation, input, isJson, ...settings }));
  });
}

function groupCommand(program: Command, name: string): Command {
  const existing = program.commands.find((command) => command.name() === name);
  return existing ?? program.command(name).description(`Work with ${name.replaceAll("-", " ")}`);
}
