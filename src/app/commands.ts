import type { Command } from "commander";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { addConfigurationCommands } from "./configuration-commands.ts";
import { addDeviceCommands } from "./device-commands.ts";
import { addHostCommands } from "./host-commands.ts";
import { addPolicySchema } from "./policy-commands.ts";
import { addScanCommand } from "./scan-commands.ts";

/** The commands beside `serve` and the operations. */
export function addCommands(program: Command, settings: CliSettings): void {
  addHostCommands(program, settings);
  addScanCommand(program, settings);
  addDeviceCommands(program, settings);
  addPolicySchema(program, settings);
  addConfigurationCommands(program, settings);
}
