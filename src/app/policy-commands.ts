import type { Command } from "commander";
import { toVisibleJson } from "../lib/escape-hidden.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";

/** `runlayer policies schema`: the Cedar schema that policies are checked against, without a server. */
export function addPolicySchema(program: Command, { process }: CliSettings): void {
  const group = program.commands.find((command) => command.name() === "policies") ?? program.command("policies");
  group
    .command("schema")
    .description("Print the Cedar schema that policies are checked against.")
    .option("--json", "Print it as JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const { CEDAR_SCHEMA } = await import("../policy/schema.ts");
      process.print(json === true ? `${toVisibleJson({ schema: CEDAR_SCHEMA })}\n` : CEDAR_SCHEMA);
    });
}
