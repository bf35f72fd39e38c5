import { resolve } from "node:path";
import type { Command } from "commander";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { attempt } from "./attempt.ts";
import { defaultDataDir, parseConfig, VARIABLES, type Config, type Environment } from "./config.ts";

const PACKAGE_ROOT = resolve(import.meta.dirname, "../..");

/** `runlayer serve`, with a flag for each variable. */
export function addServe(program: Command, settings: CliSettings): void {
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

/** Flags win over the environment. */
export function readConfig(
  { process: { env } }: CliSettings,
  options: Readonly<Record<string, string | undefined>>,
): Config {
  const flags = Object.keys(VARIABLES).map((variable) => [variable, options[toOptionName(variable)] ?? env[variable]]);
  const environment: Environment = Object.fromEntries(flags);
  return parseConfig(environment, defaultDataDir(PACKAGE_ROOT));
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
