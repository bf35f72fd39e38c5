import { posix } from "node:path";
import { containerLaunch } from "./container-launch.ts";
import { isOwnLauncher, ownLaunch, withBridge } from "./bridges.ts";
import { findOperand, findOwnOption, type Launch, oneOf, programLaunch, programName, runnerLaunch } from "./launch.ts";
import { npmLaunch, pypiLaunch } from "./package-launch.ts";

/** Reads a command line as data; it never runs anything. */
export function parseLaunch(command: string, args: readonly string[]): Launch {
  return withBridge(isOwnLauncher(command, args) ? ownLaunch(args) : parseCommand([command, ...args]));
}

function parseCommand(line: readonly string[]): Launch {
  const [command = "", ...args] = withoutWrappers(line);
  const program = programName(command);
  const parse = Object.hasOwn(RUNNERS, program) ? RUNNERS[program] : undefined;
  return parse === undefined ? programLaunch(command, args) : parse(args, command);
}

type Parse = (args: readonly string[], command: string) => Launch;

const after =
  (words: readonly string[], next: Parse): Parse =>
  (args, command) =>
    words.every((word, index) => args[index] === word)
      ? next(args.slice(words.length), command)
      : programLaunch(command, args);

const RUNNERS: Readonly<Record<string, Parse>> = {
  npx: npmLaunch,
  bunx: npmLaunch,
  pnpx: npmLaunch,
  npm: (args, command) => after([args[0] === "x" ? "x" : "exec"], npmLaunch)(args, command),
  pnpm: after(["dlx"], npmLaunch),
  yarn: after(["dlx"], npmLaunch),
  bun: parseBun,
  uvx: pypiLaunch,
  uv: parseUv,
  pipx: after(["run"], pypiLaunch),
  docker: containerLaunch,
  podman: containerLaunch,
  nerdctl: containerLaunch,
  python: parsePython,
  node: (args, command) => parseScript(args, command, NODE),
  deno: parseDeno,
  tsx: (args, command) => parseScript(withoutWord(args, "watch"), command, NODE),
  ruby: (args, command) => parseScript(args, command, RUBY),
  java: parseJava,
  dotnet: (args, command) =>
    /\.dll$/i.test(args[0] ?? "") ? scriptAt(args, 0, "dotnet") : runnerLaunch(command, args),
};

/** More than anyone has around a server; who wrote the command line chose how many there are. */
const WRAPPERS_MAX = 8;

type Unwrap = (args: readonly string[]) => readonly string[];

/** Programs that run what stands behind their own options. What cannot be told gives nothing. */
const WRAPPERS: Readonly<Record<string, Unwrap>> = {
  cmd: (args) => args.filter((arg) => !/^\/[a-z]$/i.test(arg)),
  env: (args) => {
    const { index, options } = findOperand(args, oneOf("-u --unset -C --chdir"));
    // `env -S` splits one word into a command line, by rules of its own.
    if (options.some(({ name }) => /^(?:-\w*S|--split-string)/.test(name))) return [];
    const from = args.slice(index).findIndex((arg) => !/^\w+=/.test(arg));
    return from < 0 ? [] : args.slice(index + from);
  },
  sudo: (args) => args.slice(findOperand(args, oneOf("-u -g -h -p -C -T -U -D -R -r -t")).index),
};

function withoutWrappers(line: readonly string[]): readonly string[] {
  let inner = line;
  for (let depth = 0; depth < WRAPPERS_MAX; depth += 1) {
    const [command = "", ...args] = inner;
    const program = programName(command);
    const behind = Object.hasOwn(WRAPPERS, program) ? WRAPPERS[program]?.(args) : undefined;
    if (behind === undefined || behind.length === 0) break;
    inner = behind;
  }
  return inner;
}

function withoutWord(args: readonly string[], word: string): readonly string[] {
  return args[0] === word ? args.slice(1) : args;
}

function parseBun(args: readonly string[], command: string): Launch {
  if (args[0] === "x") return npmLaunch(args.slice(1), command);
  const rest = withoutWord(args, "run");
  const { index } = findOperand(rest, NODE.takesNext);
  // Anything else is a script of some package.json.
  return /[\\/]|\.[cm]?[jt]sx?$/.test(rest[index] ?? "")
    ? parseScript(rest, command, NODE)
    : runnerLaunch(command, args);
}

/** `--directory` alone changes what a relative path means. */
const UV_VALUED = oneOf(
  "--with --with-editable --with-requirements --python -p --directory --project --config-file --cache-dir --env-file --extra --group --only-group --no-group --package --index --index-url -i --default-index --extra-index-url --find-links -f --color --allow-insecure-host --refresh-package --python-platform --link-mode --resolution --prerelease",
);

function parseUv(args: readonly string[], command: string): Launch {
  const before = findOperand(args, UV_VALUED);
  const inner = args.slice(before.index + 1);
  if (args[before.index] === "tool" && inner[0] === "run") return pypiLaunch(inner.slice(1), command);
  if (args[before.index] !== "run") return runnerLaunch(command, args);
  const module = findOwnOption(inner, ["-m", "--module"], UV_VALUED);
  if (module !== undefined) return moduleLaunch(inner, module);
  const { index, options } = findOperand(inner, UV_VALUED);
  const folder = [...before.options, ...options].findLast(({ name }) => name === "--directory")?.value;
  const word = inner[index] ?? "";
  if (programName(word) === "python") return inFolder(folder, parsePython(inner.slice(index + 1), word));
  if (/\.pyw?$/i.test(word)) return inFolder(folder, scriptAt(inner, index, "python"));
  // A program of a project that only the folder tells.
  return runnerLaunch(command, args);
}

/** What a relative path means where the runner goes into a folder first. */
function inFolder(folder: string | undefined, launch: Launch): Launch {
  const [, interpreter = "", path = ""] = /^(\w+):(.*)$/s.exec(launch.name) ?? [];
  if (launch.kind !== "script" || folder === undefined || /^(?:[\\/~]|[A-Za-z]:)/.test(path)) return launch;
  return { ...launch, name: `${interpreter}:${posix.join(folder, path)}` };
}

function parsePython(args: readonly string[], command: string): Launch {
  const module = findOwnOption(args, ["-m"], PYTHON.takesNext);
  return module === undefined ? parseScript(args, command, PYTHON) : moduleLaunch(args, module);
}

function moduleLaunch(args: readonly string[], option: number): Launch {
  const [top = ""] = (args[option + 1] ?? "").split(".");
  const name = top.toLowerCase().replaceAll(/[-_.]+/g, "-");
  return { kind: "pkg", name: `pypi/${name}`, pin: "local", rest: args.slice(option + 2) };
}

const JAVA_VALUED = oneOf("-cp -classpath --class-path -p --module-path --add-modules");

function parseJava(args: readonly string[], command: string): Launch {
  const option = findOwnOption(args, ["-jar"], JAVA_VALUED);
  const hasFile = option !== undefined && option + 1 < args.length;
  return hasFile ? scriptAt(args, option + 1, "java") : runnerLaunch(command, args);
}

function parseDeno(args: readonly string[], command: string): Launch {
  const rest = args[0] === "run" || args[0] === "serve" ? args.slice(1) : args;
  const isScript = rest.length < args.length || /[\\/:.]/.test(rest[findOperand(rest, DENO.takesNext).index] ?? "");
  // `deno task x`, `deno eval …`: what runs is defined elsewhere, or on the line itself.
  return isScript ? parseScript(rest, command, DENO) : runnerLaunch(command, args);
}

interface Interpreter {
  readonly name: string;
  readonly takesNext: (option: string) => boolean;
  /** Options whose value is the program itself, or the name of one that something else defines. */
  readonly inline: RegExp;
}

const NODE: Interpreter = {
  name: "node",
  takesNext: oneOf(
    "-r --require --import --loader --experimental-loader --env-file --env-file-if-exists -C --conditions --input-type --title --openssl-config --icu-data-dir --watch-path --tsconfig --preload --cwd -c --config",
  ),
  inline: /^(?:-e|--eval|-p|--print|-pe|--run)$/,
};
const DENO: Interpreter = {
  name: "deno",
  takesNext: oneOf("-c --config --import-map --lock --cert --location --preload --env-file"),
  inline: /^--eval$/,
};
const PYTHON: Interpreter = {
  name: "python",
  takesNext: oneOf("-W -X -Q --check-hash-based-pycs"),
  inline: /^-[bBdEiIOqsSuvx]*c/,
};
const RUBY: Interpreter = { name: "ruby", takesNext: oneOf("-r -I -C -E"), inline: /^-[alnpsw]*e/ };

function parseScript(args: readonly string[], command: string, { name, takesNext, inline }: Interpreter): Launch {
  const { index, options } = findOperand(args, takesNext);
  if (options.some((option) => inline.test(option.name))) return { kind: "cmd", name, pin: "local", rest: args };
  return index < args.length ? scriptAt(args, index, name) : runnerLaunch(command, args);
}

function scriptAt(args: readonly string[], index: number, interpreter: string): Launch {
  const script = args[index] ?? "";
  // A package that npm unpacked is that package, wherever the folder is.
  const [, installed] =
    /node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/.][^\\/]*)(?=[\\/](?!.*node_modules))/.exec(script) ?? [];
  const rest = args.filter((_arg, position) => position !== index);
  if (installed !== undefined)
    return { kind: "pkg", name: `npm/${installed.replace("\\", "/").toLowerCase()}`, pin: "local", rest };
  return { kind: "script", name: `${interpreter}:${script}`, pin: "local", rest };
}
