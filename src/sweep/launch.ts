/** How a command starts a server. */
export interface Launch {
  readonly kind: "pkg" | "oci" | "script" | "bin" | "cmd";
  /** `npm/@scope/name`, `pypi/name`, an image without tag, `interpreter:path` of a script, a program's name. */
  readonly name: string;
  readonly version?: string | undefined;
  /** Whether the same bytes run next time: an exact version or a digest. */
  readonly pin: "pinned" | "range" | "latest" | "source" | "local";
  /** Arguments of the server itself, and for a script those of its interpreter. */
  readonly rest: readonly string[];
  /** A program by its name alone, as the path finds it: what its user installed under that name. */
  readonly isInstalled?: boolean | undefined;
  /** A program that runs anything (`npm run`, `docker exec`): which server it is its arguments tell, and not its name. */
  readonly isRunner?: boolean | undefined;
  /** A package whose name does not tell what runs: it comes from another registry, or another program of it is called. */
  readonly isAltered?: boolean | undefined;
  /** What a bridge such as `mcp-remote` connects to. */
  readonly bridge?: Bridge | undefined;
}

export interface Bridge {
  readonly url: string;
  /** Whether a package registry vouches for its name, or it is this installation's own. What is only called like a bridge may be anything. */
  readonly isProven: boolean;
}

/** The name of a program without folder, extension or version: `C:\\x\\npx.cmd` and `/usr/bin/npx` are `npx`. */
export function programName(command: string): string {
  const base = command.split(/[\\/]/).at(-1)?.toLowerCase() ?? "";
  return base.replace(/\.(?:exe|cmd|bat|ps1)$/, "").replace(/^(python|node)[\d.]+$/, "$1");
}

/** A program by its name, where nothing better is known. */
export function programLaunch(command: string, args: readonly string[]): Launch {
  const name = programName(command);
  if (name === "" || SHELL.test(name)) return { kind: "cmd", name: name || "unknown", pin: "local", rest: args };
  const isInstalled = !/[\\/]/.test(command);
  const isRunner = GENERAL_RUNNERS.has(name);
  return { kind: "bin", name, pin: "local", rest: args, isInstalled, ...(isRunner ? { isRunner } : {}) };
}

/** A program that runs what its arguments say, in a way that is not looked through. */
export function runnerLaunch(command: string, args: readonly string[]): Launch {
  return { kind: "bin", name: programName(command), pin: "local", rest: args, isRunner: true };
}

const SHELL = /^(?:sh|bash|zsh|dash|fish|powershell|pwsh)$/;

/** Programs that are no server themselves: two of their command lines have nothing in common but the runner. */
const GENERAL_RUNNERS: ReadonlySet<string> = new Set(
  [
    "npx bunx pnpx npm pnpm yarn bun uv uvx pipx docker podman nerdctl node deno tsx ts-node python pythonw py ruby",
    "java javaw jbang dotnet dnx go cargo php perl lua luajit rscript r julia elixir mix swift dart flutter groovy scala",
    "poetry pdm hatch rye pipenv conda mamba micromamba pixi mise asdf direnv nix nix-shell devbox flox corepack volta nvm",
    "env sudo doas nohup nice timeout time setsid stdbuf xargs busybox watchexec nodemon pm2 dotenv op doppler infisical",
    "make just task gradle gradlew mvn mvnw bazel ssh wsl kubectl helm docker-compose flatpak snap toolbox",
    "cmd start cscript wscript mshta rundll32 osascript open electron mcp fastmcp",
  ].flatMap((line) => line.split(" ")),
);

/** Where a command line's first word stands that is no option, and which options come before it. */
export interface Operand {
  readonly index: number;
  readonly options: readonly { readonly name: string; readonly value: string | undefined }[];
}

/**
 * Passes over options. Those that `takesNext` names have their value in the next word, or in as many as it says, unless it is written
 * behind `=`.
 */
export function findOperand(args: readonly string[], takesNext: (option: string) => boolean | number): Operand {
  const options: { name: string; value: string | undefined }[] = [];
  let index = 0;
  for (let arg = args[index]; arg?.startsWith("-") === true; arg = args[index]) {
    index += 1;
    if (arg === "--") break;
    const equals = arg.indexOf("=");
    const name = equals < 0 ? arg : arg.slice(0, equals);
    const words = equals < 0 ? Number(takesNext(name)) : 0;
    options.push({ name, value: equals < 0 ? (words > 0 ? args[index] : undefined) : arg.slice(equals + 1) });
    index += words;
  }
  return { index, options };
}

/** Where one of the program's own options stands; undefined where the word is the value or the argument of something else. */
export function findOwnOption(
  args: readonly string[],
  names: readonly string[],
  takesNext: (option: string) => boolean,
): number | undefined {
  const at = args.findIndex((arg) => names.includes(arg));
  return at >= 0 && findOperand(args.slice(0, at), takesNext).index === at ? at : undefined;
}

/** Whether an option is one of those in a text, divided by spaces. */
export function oneOf(text: string): (option: string) => boolean {
  const options = new Set(text.split(" "));
  return (option) => options.has(option);
}
