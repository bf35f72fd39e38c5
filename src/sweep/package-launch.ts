import { findOperand, type Launch, programName, runnerLaunch } from "./launch.ts";

interface PackageRunner {
  readonly type: "npm" | "pypi";
  /** Options that have a value in the next word. */
  readonly valued: ReadonlySet<string>;
  /** Those that name the package, so that the first word is a program inside it. */
  readonly naming: ReadonlySet<string>;
  /** Those by which the name of a package says nothing about its code. */
  readonly altering: ReadonlySet<string>;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

const NPM: PackageRunner = {
  type: "npm",
  valued: words(
    "-p --package -c --call -w --workspace --registry --prefix --cache --userconfig --globalconfig --loglevel --script-shell --node-options --scope",
  ),
  naming: words("-p --package"),
  altering: words("--registry --prefix --userconfig --globalconfig --script-shell --node-options"),
};

const PYPI: PackageRunner = {
  type: "pypi",
  valued: words(
    "--from --with --with-editable --with-requirements --python -p --spec --index --index-url -i --default-index --extra-index-url --find-links -f --directory --project --config-file --cache-dir --env-file --constraints -c --overrides --pip-args --suffix --color",
  ),
  naming: words("--from --spec"),
  altering: words(
    "--with --with-editable --with-requirements --index --index-url -i --default-index --extra-index-url --find-links -f --config-file --overrides --pip-args",
  ),
};

export function npmLaunch(args: readonly string[], command: string): Launch {
  return packageLaunch(NPM, args, command);
}

export function pypiLaunch(args: readonly string[], command: string): Launch {
  return packageLaunch(PYPI, args, command);
}

function packageLaunch(runner: PackageRunner, args: readonly string[], command: string): Launch {
  const { index, options } = findOperand(args, (option) => runner.valued.has(option));
  const named = options.filter(({ name }) => runner.naming.has(name)).flatMap(({ value }) => value ?? []);
  const isShellLine = runner.type === "npm" && options.some(({ name }) => name === "-c" || name === "--call");
  const spec = named[0] ?? args[index] ?? "";
  // Several packages, or a line for a shell: what runs is none of them for sure.
  if (spec === "" || isShellLine || named.length > 1) return runnerLaunch(command, args);
  const { name, version, pin } = splitSpec(runner.type, spec);
  const program = args[index] ?? "";
  const isOther = named.length > 0 && programName(splitSpec(runner.type, program).name) !== programName(name);
  const isAltered = isOther || options.some((option) => runner.altering.has(option.name));
  return {
    kind: "pkg",
    name: `${runner.type}/${name}`,
    version,
    pin,
    rest: args.slice(index + 1),
    ...(isAltered ? { isAltered } : {}),
  };
}

interface Spec {
  readonly name: string;
  readonly version?: string | undefined;
  readonly pin: Launch["pin"];
}

const SOURCE =
  /^(?:git\+|git:|git@|https?:|ssh:|github:|gitlab:|bitbucket:|gist:|file:|\.{0,2}\/|~\/)|^[\w-]+\/[\w.-]+(?:#|$)|\.(?:tgz|tar\.gz|whl)$/;

const NPM_SPEC = /^(?<name>@?[^@]+)(?:@(?<version>.*))?$/;
const PYPI_SPEC = /^(?<name>[\w.-]+)(?:\[[^\]]*\])?(?:==|\s{0,3}@\s{0,3}|(?=[<>~!=]))?(?<version>.+)?$/;

function splitSpec(type: "npm" | "pypi", spec: string): Spec {
  const { name = spec, version } = (type === "npm" ? NPM_SPEC : PYPI_SPEC).exec(spec)?.groups ?? {};
  // An alias (`mcp-remote@npm:other`, `x@git+https://…`) is what it stands for, whatever it calls itself.
  const alias = [spec, version ?? ""].find((text) => text.startsWith("npm:"));
  if (alias !== undefined) return splitSpec(type, alias.slice("npm:".length));
  const source = [spec, version ?? ""].find((text) => SOURCE.test(text));
  if (source !== undefined) return sourceSpec(source);
  const lower = name.toLowerCase();
  return { name: type === "pypi" ? lower.replaceAll(/[-_.]+/g, "-") : lower, version, pin: pinOf(version) };
}

function sourceSpec(spec: string): Spec {
  return {
    name: spec
      .replace(/^git\+/, "")
      .replace(/\/\/[^@/]*@/, "//")
      .replace(/[#?].*$/, ""),
    pin: "source",
  };
}

function pinOf(version: string | undefined): Launch["pin"] {
  if (version === undefined || version === "" || /^(?:latest|next|beta|canary|alpha)$/.test(version)) return "latest";
  return /^v?\d+(?:\.\d+){1,3}(?:[-+.]?[\w.-]+)?$/.test(version) ? "pinned" : "range";
}
