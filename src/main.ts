import { addServe } from "./app/serve-command.ts";
import { VERSION } from "./app/version.ts";
import { buildCli, runCli, type CliSettings } from "./surfaces/cli/build-cli.ts";
import { terminalProcess } from "./surfaces/cli/terminal.ts";

const args = process.argv.slice(2);
// A server runs for months: no other command takes a place in its memory.
const isServing = args[0] === "serve";
const settings: CliSettings = {
  operations: isServing ? [] : (await import("./operations/index.ts")).OPERATIONS,
  version: VERSION,
  process: terminalProcess(),
  setExitCode: (code) => void (process.exitCode = code),
};
const program = buildCli(settings);
addServe(program, settings);
if (!isServing) (await import("./app/commands.ts")).addCommands(program, settings);
await runCli(program, args, settings);
