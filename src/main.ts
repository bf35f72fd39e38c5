import { addDeviceCommands } from "./app/device-commands.ts";
import { addConfigurationCommands } from "./app/configuration-commands.ts";
import { addHostCommands } from "./app/host-commands.ts";
import { addPolicySchema } from "./app/policy-commands.ts";
import { addScanCommand } from "./app/scan-commands.ts";
import { VERSION } from "./app/version.ts";
import { OPERATIONS } from "./operations/index.ts";
import { buildCli, runCli, type CliSettings } from "./surfaces/cli/build-cli.ts";
import { terminalProcess } from "./surfaces/cli/terminal.ts";

const settings: CliSettings = {
  operations: OPERATIONS,
  version: VERSION,
  process: terminalProcess(),
  setExitCode: (code) => void (process.exitCode = code),
};
const program = buildCli(settings);
addHostCommands(program, settings);
addScanCommand(program, settings);
addDeviceCommands(program, settings);
addPolicySchema(program, settings);
addConfigurationCommands(program, settings);
await runCli(program, process.argv.slice(2), settings);
