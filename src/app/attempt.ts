import { toAppError } from "../lib/errors.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { toExitCode } from "../surfaces/cli/exit-codes.ts";
import { toVisibleJson } from "../lib/escape-hidden.ts";

/** Runs a command; a failure is one line, or the JSON that every command answers, and an exit code. */
export async function attempt(
  { process: terminal, setExitCode }: CliSettings,
  work: () => Promise<void>,
  isJson = false,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message, details } = toAppError(error);
    const detail = code === "internal" && error instanceof Error ? `: ${error.stack ?? error.message}` : "";
    if (isJson) {
      const shown = { code, message, ...(details === undefined ? {} : { details }) };
      terminal.print(`${toVisibleJson({ error: shown })}\n`);
    }
    if (!isJson || detail !== "") terminal.printError(`runlayer: ${message}${detail}\n`);
    setExitCode(toExitCode(code));
  }
}
