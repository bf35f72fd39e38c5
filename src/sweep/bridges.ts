import { resolve } from "node:path";
import { type Bridge, findOperand, type Launch, oneOf, programName } from "./launch.ts";

/** Packages that stand in front of a server that speaks another transport. */
const BRIDGES: ReadonlySet<string> = new Set([
  "mcp-remote",
  "supergateway",
  "mcp-proxy",
  "@pyroprompts/mcp-stdio-to-streamable-http-adapter",
  "mcp-remote-client",
]);

/** Runlayer's own package: `runlayer stdio --url <gateway>` is how clients without headers reach the gateway. */
const OWN_PACKAGE = "npm/runlayer";

/** What `runlayer connect` of this installation writes into a client's configuration. */
const OWN_LAUNCHER = resolve(import.meta.dirname, "../../bin/runlayer.js");

/** A launcher of the same name elsewhere may be anything: it is judged as the script that it is. */
export function isOwnLauncher(command: string, [script]: readonly string[]): boolean {
  return programName(command) === "node" && script === OWN_LAUNCHER;
}

export function ownLaunch([, ...rest]: readonly string[]): Launch {
  return { kind: "pkg", name: OWN_PACKAGE, pin: "local", rest };
}

/** Whether it is Runlayer's own bridge, by its package or by its place. */
export function isOwnBridge({ name, bridge }: Launch): boolean {
  return name === OWN_PACKAGE && bridge?.isProven === true;
}

/** The launch together with what it leads to, if it is called as a bridge. */
export function withBridge(launch: Launch): Launch {
  const url = targetOf(launch);
  if (url === undefined) return launch;
  const bridge: Bridge = { url, isProven: isProven(launch) };
  return { ...launch, bridge };
}

/**
 * Whether a process is called as one that stands in front of another. A name proves nothing: that it is that package MUST NOT follow.
 */
export function isCalledBridge({ name }: Launch): boolean {
  return BRIDGES.has(programName(name));
}

/** What a folder, a module on a path or another registry calls by the name of a bridge is not that package for sure. */
function isProven({ kind, name, pin, rest, isAltered, isInstalled }: Launch): boolean {
  // `npx` and `uvx`, which vouch for the others, are found by their names as well.
  if (kind === "bin") return isInstalled === true;
  if (kind !== "pkg" || isAltered === true) return false;
  return pin !== "local" || (name === OWN_PACKAGE && rest[0] === "stdio");
}

function targetOf({ name, rest }: Launch): string | undefined {
  if (name === OWN_PACKAGE) return ownTarget(rest);
  const base = name.replace(/^(?:npm|pypi)\//, "");
  return BRIDGES.has(base) ? bridgeTarget(base, rest) : undefined;
}

function ownTarget(rest: readonly string[]): string | undefined {
  if (rest[0] !== "stdio") return undefined;
  const { options } = findOperand(rest.slice(1), oneOf("--url"));
  return options.findLast(({ name, value }) => name === "--url" && isAddress(value))?.value;
}

const VALUED = oneOf(
  "--header --headers -H --transport --transport-type --host --port --resource --ignore-tool --auth-timeout --static-oauth-client-metadata --static-oauth-client-info --client-id --client-secret --token-url --log-level --logLevel --oauth2Bearer --protocolVersion --sse --streamableHttp --streamable-http",
);

/** `mcp-proxy` takes a header's name and its value as two words. */
function wordsOfProxy(option: string): boolean | number {
  return option === "-H" || option === "--headers" ? 2 : VALUED(option);
}

/** The first word that is no option, or what an option names as the server: an address anywhere else may belong to a command that the bridge runs. */
function bridgeTarget(base: string, rest: readonly string[]): string | undefined {
  const { index, options } = findOperand(rest, base === "mcp-proxy" ? wordsOfProxy : VALUED);
  if (options.some(({ name }) => name === "--stdio" || name.startsWith("--named-server"))) return undefined;
  const named = options.find(({ name }) => /^--(?:sse|streamableHttp|streamable-http)$/.test(name))?.value;
  return [named, rest[index]].find(isAddress);
}

function isAddress(text: string | undefined): boolean {
  return text !== undefined && /^(?:https?|wss?):\/\//.test(text);
}
