import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { AppError } from "../../lib/errors.ts";
import { findStdioUser, type StdioUser } from "./stdio-user.ts";

/**
 * How stdio children are kept from the gateway's own files. `none` is posture `stdio_not_isolated`: they run as the gateway's user
 * and can read what it can. `refused` starts nothing.
 */
export type StdioIsolation =
  | { readonly mode: "user"; readonly user: StdioUser }
  | { readonly mode: "bubblewrap"; readonly program: string }
  | { readonly mode: "none" }
  | { readonly mode: "refused"; readonly fault: AppError };

export interface IsolationOptions {
  /** `RUNLAYER_STDIO_USER`. */
  readonly user?: string | undefined;
  /** Folders searched for `bwrap`. */
  readonly programFolders?: readonly string[] | undefined;
  /** The effective user id; undefined where the system has none. */
  readonly euid?: number | undefined;
}

// Not from PATH: a folder of the user's own must not decide what isolates.
const PROGRAM_FOLDERS = ["/usr/bin", "/bin", "/usr/local/bin"];
const TRIAL_TIMEOUT_MS = 3000;

/** Chooses the isolation once, at start: another account as root, else bubblewrap if it works here, else none. */
export function resolveIsolation(options: IsolationOptions): StdioIsolation {
  const { euid } = options;
  if (euid === undefined) return refused("stdio servers need a POSIX system; register the server by its `url` instead");
  const user = options.user === undefined ? undefined : findStdioUser(options.user);
  if (euid === 0) return user === undefined ? refused(AS_ROOT) : { mode: "user", user };
  if (user !== undefined && user.uid !== euid) {
    return refused(
      `only root can start children as \`${user.name}\`; unset \`RUNLAYER_STDIO_USER\` or start Runlayer as root`,
    );
  }
  const program = (options.programFolders ?? PROGRAM_FOLDERS).map((folder) => `${folder}/bwrap`).find(canIsolate);
  return program === undefined ? { mode: "none" } : { mode: "bubblewrap", program };
}

/**
 * The arguments that put bubblewrap before a command: own process table, dies with the gateway, and the hidden paths
 * (master key, database) are empty inside.
 */
export function bubblewrapArguments(hiddenPaths: readonly string[]): string[] {
  const hidden = hiddenPaths.flatMap((path) => (isFolder(path) ? ["--tmpfs", path] : ["--ro-bind", "/dev/null", path]));
  const namespaces = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"];
  return [...namespaces, "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", ...hidden, "--"];
}

const AS_ROOT =
  "stdio servers are not started as root; set `RUNLAYER_STDIO_USER` to an account without rights, for example `nobody`";

function refused(message: string): StdioIsolation {
  return { mode: "refused", fault: new AppError("forbidden", message) };
}

/** Present is not enough: many systems forbid the namespaces that it needs. */
function canIsolate(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
  } catch {
    // Absent or not ours to run: both mean that it cannot isolate.
    return false;
  }
  const trial = spawnSync(program, [...bubblewrapArguments([]), "/bin/sh", "-c", ":"], {
    stdio: "ignore",
    timeout: TRIAL_TIMEOUT_MS,
    env: {},
  });
  return trial.status === 0;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? true;
}
