/** How a command starts a server. */
export interface Launch {
  readonly kind: "pkg" | "oci" | "script" | "bin" | "cmd";
  /** `npm/@scope/name`, `pypi/name`, an image without tag, a script's path, a program's name. */
  readonly name: string;
  readonly version?: string | undefined;
  /** Whether the same bytes run next time: an exact version or a digest. */
  readonly pin: "pinned" | "range" | "latest" | "source" | "local";
  /** Arguments of the server itself. */
  readonly rest: readonly string[];
  /** The address that a bridge such as `mcp-remote` connects to. */
  readonly bridgedUrl?: string | undefined;
}

const BRIDGES = new Set([
  "mcp-remote",
  "supergateway",
  "mcp-proxy",
  "@pyroprompts/mcp-stdio-to-streamable-http-adapter",
  "mcp-remote-client",
]);

/** Reads a command line as data; it never runs anything. */
export function parseLaunch(command: string, args: readonly string[]): Launch {
  const program = programName(command);
  const launch = (RUNNERS[program] ?? parseProgram)(args, command);
  const base = launch.name.replace(/^(?:npm|pypi)\//, "");
  if (!BRIDGES.has(base)) return launch;
  const bridgedUrl = launch.rest.find((arg) => /^(?:https?|wss?):\/\//.test(arg));
  return { ...launch, bridgedUrl };
}

/**
 * Whether a process is called as one that stands in front of another. A name proves nothing: that it is that package MUST NOT follow.
 */
export function isCalledBridge({ name }: Launch): boolean {
  return BRIDGES.has(programName(name));
}

/** The name of a program without folder, extension or version: `C:\\x\\npx.cmd` and `/usr/bin/npx` are `npx`. */
export function programName(command: string): string {
  const base = command.split(/[\\/]/).at(-1)?.toLowerCase() ?? "";
  return base.replace(/\.(?:exe|cmd|bat|ps1)$/, "").replace(/^(python|node)[\d.]+$/, "$1");
}

type Parse = (args: readonly string[], command: string) => Launch;

const npm = (args: readonly string[]): Launch => parsePackage("npm", args, ["-p", "--package", "-c", "--call"]);
const pypi = (args: readonly string[]): Launch =>
  parsePackage("pypi", args, ["--from", "--with", "--python", "-p", "--spec", "--index-url"]);
const after =
  (words: readonly string[], next: Parse): Parse =>
  (args, command) =>
    words.every((word, index) => args[index] === word)
      ? next(args.slice(words.length), command)
      : parseProgram(args, command);

const RUNNERS: Readonly<Record<string, Parse>> = {
  npx: npm,
  bunx: npm,
  pnpx: npm,
  npm: (args, command) => (args[0] === "exec" || args[0] === "x" ? npm(args.slice(1)) : parseProgram(args, command)),
  pnpm: after(["dlx"], npm),
  yarn: after(["dlx"], npm),
  bun: after(["x"], npm),
  uvx: pypi,
  uv: (args, command) => (args[0] === "tool" && args[1] === "run" ? pypi(args.slice(2)) : parseProgram(args, command)),
  pipx: after(["run"], pypi),
  docker: parseContainer,
  podman: parseContainer,
  nerdctl: parseContainer,
  cmd: (args) => parseNested(args.filter((arg) => !/^\/[a-z]$/i.test(arg))),
  env: (args) =>
    parseNested(args.filter((arg, index) => index > 0 || !arg.startsWith("-")).filter((arg) => !/^\w+=/.test(arg))),
  sudo: (args) => parseNested(args.filter((arg) => !arg.startsWith("-"))),
  python: parsePython,
  node: (args) => parseScript("node", args),
  deno: (args) =>
    parseScript(
      "deno",
      args.filter((arg) => arg !== "run"),
    ),
  tsx: (args) => parseScript("node", args),
  ruby: (args) => parseScript("ruby", args),
};

function parseNested([command = "", ...args]: readonly string[]): Launch {
  return (RUNNERS[programName(command)] ?? parseProgram)(args, command);
}

function parseProgram(args: readonly string[], command: string): Launch {
  const name = programName(command);
  const isShell = /^(?:sh|bash|zsh|dash|fish|powershell|pwsh)$/.test(name);
  if (name === "" || isShell) return { kind: "cmd", name: name || "unknown", pin: "local", rest: args };
  return { kind: "bin", name, pin: "local", rest: args };
}

function parsePackage(type: "npm" | "pypi", args: readonly string[], valued: readonly string[]): Launch {
  const { spec, index } = readOptions(type, args, valued);
  // With `--package` the first word is the program inside the package.
  const { name, version, pin } = splitSpec(type, spec ?? args[index] ?? "");
  if (name === "") return { kind: "cmd", name: type, pin: "local", rest: args };
  return { kind: "pkg", name: `${type}/${name}`, version, pin, rest: args.slice(index + 1) };
}

/** Passes over the runner's own options: where its first word stands, and the package if an option names it. */
function readOptions(type: "npm" | "pypi", args: readonly string[], valued: readonly string[]) {
  const naming = type === "npm" ? ["-p", "--package"] : ["--from", "--spec"];
  let spec: string | undefined;
  let index = 0;
  while (args[index]?.startsWith("-") === true) {
    const [option = "", inline] = (args[index] ?? "").split("=", 2);
    const takesNext = inline === undefined && valued.includes(option);
    if (naming.includes(option)) spec ??= inline ?? args[index + 1];
    index += takesNext ? 2 : 1;
  }
  return { spec, index };
}

function splitSpec(
  type: "npm" | "pypi",
  spec: string,
): { name: string; version?: string | undefined; pin: Launch["pin"] } {
  if (/^(?:git\+|git:|https?:|github:|file:)|^[\w-]+\/[\w.-]+(?:#|$)|\.(?:tgz|tar\.gz|whl)$/.test(spec)) {
    return {
      name: spec
        .replace(/^git\+/, "")
        .replace(/\/\/[^@/]*@/, "//")
        .replace(/[#?].*$/, ""),
      pin: "source",
    };
  }
  const match =
    type === "npm"
      ? /^(@?[^@]+)(?:@(.*))?$/.exec(spec)
      : /^([\w.-]+)(?:\[[^\]]*\])?(?:(?:==|@)(.*)|([<>~!=].*))?$/.exec(spec);
  const version = match?.[2] ?? match?.[3];
  const name = (match?.[1] ?? spec).toLowerCase();
  return { name: type === "pypi" ? name.replaceAll(/[-_.]+/g, "-") : name, version, pin: pinOf(version) };
}

function pinOf(version: string | undefined): Launch["pin"] {
  if (version === undefined || version === "" || /^(?:latest|next|beta|canary|alpha)$/.test(version)) return "latest";
  return /^v?\d+(?:\.\d+){1,3}(?:[-+.]?[\w.-]+)?$/.test(version) ? "pinned" : "range";
}

const CONTAINER_VALUED =
  /^(?:-[evpwuhml]|--(?:env|volume|publish|name|network|user|workdir|mount|label|env-file|entrypoint|memory|cpus|platform|hostname|add-host|cap-add|cap-drop|security-opt|device|pull|restart|gpus|ipc|pid|net))$/;

function parseContainer(args: readonly string[], command: string): Launch {
  const run = args.indexOf("run");
  if (run < 0) return parseProgram(args, command);
  let index = run + 1;
  while (index < args.length && (args[index] ?? "").startsWith("-"))
    index += CONTAINER_VALUED.test(args[index] ?? "") ? 2 : 1;
  const { name, version, pin } = splitImage(args[index] ?? "");
  return { kind: "oci", name, version, pin, rest: args.slice(index + 1) };
}

function splitImage(image: string): { name: string; version: string | undefined; pin: Launch["pin"] } {
  const [, name = image, tag, digest] = /^(.+?)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[a-f0-9]+))?$/.exec(image) ?? [];
  const short = name.replace(/^(?:index\.)?docker\.io\//, "").replace(/^library\//, "");
  // A tag can be moved to another image; only a digest cannot.
  const pin = digest !== undefined ? "pinned" : tag === undefined || tag === "latest" ? "latest" : "range";
  return { name: short.toLowerCase(), version: digest ?? tag, pin };
}

function parsePython(args: readonly string[]): Launch {
  const module = args.indexOf("-m");
  if (module < 0) return parseScript("python", args);
  const name =
    (args[module + 1] ?? "")
      .split(".")[0]
      ?.toLowerCase()
      .replaceAll(/[-_.]+/g, "-") ?? "";
  return { kind: "pkg", name: `pypi/${name}`, pin: "local", rest: args.slice(module + 2) };
}

function parseScript(interpreter: string, args: readonly string[]): Launch {
  const index = args.findIndex((arg) => !arg.startsWith("-"));
  const script = args[index];
  if (script === undefined) return { kind: "bin", name: interpreter, pin: "local", rest: args };
  // A package that npm unpacked is that package, wherever the folder is.
  const [, installed] =
    /node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/.][^\\/]*)(?=[\\/](?!.*node_modules))/.exec(script) ?? [];
  const rest = args.slice(index + 1);
  if (installed !== undefined)
    return { kind: "pkg", name: `npm/${installed.replace("\\", "/").toLowerCase()}`, pin: "local", rest };
  return { kind: "script", name: `${interpreter}:${script}`, pin: "local", rest };
}
