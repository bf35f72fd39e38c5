import { AppError, toAppError } from "../lib/errors.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { toCommandWords } from "../surfaces/cli/cli-words.ts";
import { toExitCode } from "../surfaces/cli/exit-codes.ts";
import { toVisibleJson } from "../lib/escape-hidden.ts";

/** Runs a command; a failure is one line, or the JSON that every command answers, and an exit code. */
export async function attempt(
  { operations, process: terminal, setExitCode }: Pick<CliSettings, "operations" | "process" | "setExitCode">,
  work: () => Promise<void>,
  isJson = false,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const fault = toFileFault(error) ?? toAppError(error);
    const { code, details } = fault;
    const message = withCause(fault);
    const detail = code === "internal" && error instanceof Error ? `: ${error.stack ?? error.message}` : "";
    if (isJson) {
      const shown = { code, message, ...(details === undefined ? {} : { details }) };
      terminal.print(`${toVisibleJson({ error: shown })}\n`);
    }
    const told = toCommandWords(message, operations);
    if (!isJson || detail !== "") terminal.printError(`runlayer: ${told}${detail}\n`);
    setExitCode(toExitCode(code));
  }
}

/** Of `fetch`, whatever it was: the message names the address that did not answer. */
const SAYS_NOTHING = "fetch failed";

/** A command that works on the data directory itself has no log that says why. */
function withCause({ code, message, cause }: AppError): string {
  if (code !== "unavailable" || !(cause instanceof Error)) return message;
  const [reason = ""] = cause.message.split("\n");
  return message.includes(reason) || reason === SAYS_NOTHING ? message : `${message}: ${reason}`;
}

/** What the person at the terminal mends: a path that they gave, or one below it. */
const FILE_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "it or its folder is not there",
  ENOTDIR: "it, or what should be a folder above it, is not a folder",
  EISDIR: "it is a folder, not a file",
  EEXIST: "something else is there already",
  EACCES: "this account may not use it",
  EPERM: "this account may not use it",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  EROFS: "it is on a file system that cannot be written",
};

function toFileFault(error: unknown): AppError | undefined {
  if (!(error instanceof Error && "code" in error && "path" in error && "syscall" in error)) return undefined;
  // A command that cannot be started carries a path, too.
  if (String(error.syscall).startsWith("spawn")) return undefined;
  const fault = FILE_FAULTS[String(error.code)];
  return fault === undefined
    ? undefined
    : new AppError("invalid_input", `\`${String(error.path)}\`: ${fault}`, { cause: error });
}
