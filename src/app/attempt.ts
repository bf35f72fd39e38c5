import { toAppError } from "../lib/errors.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { toExitCode } from "../surfaces/cli/exit-codes.ts";

/** Runs a command; a failure is one line and an exit code. */
export async function attempt(
  { process: terminal, setExitCode }: CliSettings,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const known = toAppError(error);
    const detail = known.code === "internal" && error instanceof Error ? `: ${error.stack ?? error.message}` : "";
    terminal.printError(`runlayer: ${known.message}${detail}\n`);
    setExitCode(toExitCode(known.code));
  }
}
