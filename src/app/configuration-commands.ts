import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { applyConfiguration } from "../operations/configuration/apply-configuration.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { apiTarget, runOperation } from "../surfaces/cli/run-operation.ts";
import { attempt } from "./attempt.ts";

interface ApplyFlags {
  readonly file: string;
  readonly dryRun?: boolean;
  readonly prune?: boolean;
  readonly confirm?: boolean;
  readonly json?: boolean;
}

/** Policy as code: `runlayer apply` and `runlayer export`. */
export function addConfigurationCommands(program: Command, settings: CliSettings): void {
  program
    .command("apply")
    .description("Make servers, agents, groups, policies and settings look like files; all or nothing.")
    .requiredOption("-f, --file <path>", "YAML or JSON file, or a folder of them and of `NAME.cedar` policies")
    .option("--dry-run", "Show the plan, change nothing")
    .option("--prune", "Delete servers, agents and policies that the files do not name")
    .option("--confirm", "Carry out deletions and rules that would cut off every agent")
    .option("--json", "Print the answer as JSON")
    .action(({ file, json, ...flags }: ApplyFlags) =>
      attempt(
        settings,
        async () => {
          const { readConfiguration } = await import("../surfaces/cli/configuration/read-configuration.ts");
          const configuration = readConfiguration(file, settings.process.env);
          const { showPlan } = await import("../surfaces/cli/show-plan.ts");
          const run = {
            operation: applyConfiguration,
            input: { configuration, ...flags },
            isJson: json === true,
            ...settings,
            toText: (output: Readonly<Record<string, unknown>>) => showPlan(output, flags.dryRun === true),
          };
          settings.setExitCode(await runOperation(run));
        },
        json,
      ),
    );
  program
    .command("export")
    .description("Write the installation in the form that `apply` takes. Secrets become references to variables.")
    .option("-o, --output <file>", "Write to this file instead of standard output")
    .option("--json", "Write JSON instead of YAML")
    .action(({ output, json }: { output?: string; json?: boolean }) =>
      attempt(settings, async () => {
        const { stringify } = await import("yaml");
        const { createCall, exportConfiguration } =
          await import("../surfaces/cli/configuration/export-configuration.ts");
        const call = createCall(settings.operations, apiTarget(settings.process));
        const configuration = await exportConfiguration(call);
        const text = json === true ? `${JSON.stringify(configuration, null, 2)}\n` : stringify(configuration);
        if (output === undefined) settings.process.print(text);
        else writeFileSync(output, text);
      }),
    );
}
