import type { ServerEntry, Transport } from "./facts.ts";

type Members = Readonly<Record<string, unknown>>;

/** More servers in one file than anyone has; the rest is left out. */
const ENTRIES_MAX = 2000;

/**
 * The servers below the given keys of a parsed configuration, in any entry shape that a client uses: maps and lists, `command` as text or
 * list, `url`, `httpUrl`, `serverUrl`, `uri`, `cmd` and `envs`. Members that are no server are left out.
 */
export function serverEntriesOf(config: unknown, keys: readonly string[]): ServerEntry[] {
  const found = keys.filter((key) => key !== "@flat").flatMap((key) => membersAt(config, key).flatMap(toEntries));
  if (found.length > 0 || !keys.includes("@flat")) return found.slice(0, ENTRIES_MAX);
  return isFlatMap(config) ? toEntries(config).slice(0, ENTRIES_MAX) : [];
}

/** A place for servers that holds something else: what is configured there cannot be told. */
export interface EntryFault {
  /** The member at fault; empty for the whole file. */
  readonly name: string;
  readonly reason: string;
}

/** What stands where servers should, and is none. A file that was only looked at on the chance of a flat map has no faults. */
export function entryFaultsOf(config: unknown, keys: readonly string[]): EntryFault[] {
  if (config === null || config === undefined || keys.includes("@flat")) return [];
  if (!isMembers(config)) return [{ name: "", reason: "holds no object" }];
  return keys.flatMap((key) => membersAt(config, key).flatMap((list) => listFaults(key, list))).slice(0, FAULTS_MAX);
}

const FAULTS_MAX = 20;

function listFaults(key: string, list: unknown): EntryFault[] {
  if (list === null || list === undefined) return [];
  if (typeof list !== "object") return [{ name: lastSegment(key), reason: "servers are no map and no list" }];
  return Object.entries(list).flatMap(([name, entry]) =>
    typeof entry === "object" || typeof entry === "boolean" ? [] : [{ name, reason: "a server is no object" }],
  );
}

function lastSegment(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}

export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The values at a dotted path. A member whose name has the dots in it (`"mcp.servers"` in VS Code's settings) counts too. */
export function membersAt(value: unknown, path: string): unknown[] {
  if (path === "") return [value];
  if (!isMembers(value)) return [];
  const whole = Object.hasOwn(value, path) ? [value[path]] : [];
  const dot = path.indexOf(".");
  if (dot < 0) return path === "*" ? Object.values(value) : whole;
  const [head, rest] = [path.slice(0, dot), path.slice(dot + 1)];
  const inner = head === "*" ? Object.values(value) : Object.hasOwn(value, head) ? [value[head]] : [];
  return [...whole, ...inner.flatMap((member) => membersAt(member, rest))];
}

function toEntries(list: unknown): ServerEntry[] {
  if (Array.isArray(list)) {
    return list.filter(isMembers).flatMap((entry) => toEntry(textOf(entry, ["name", "id"]) ?? "unnamed", entry));
  }
  if (!isMembers(list)) return [];
  return Object.entries(list).flatMap(([name, entry]) => (isMembers(entry) ? toEntry(name, entry) : []));
}

function isFlatMap(value: unknown): boolean {
  if (!isMembers(value)) return false;
  const members = Object.values(value);
  return members.length > 0 && members.every((member) => isMembers(member) && toEntry("", member).length > 0);
}

/**
 * The server of an entry. One with both a command and an address, and without a type that says which, is two: clients differ in which of them they
 * use, and neither may hide the other.
 */
function toEntry(name: string, entry: Members): ServerEntry[] {
  const type = typeOf(entry);
  const url = textOf(entry, ["url", "httpUrl", "serverUrl", "uri", "endpoint"]);
  const { command, args } = commandOf(entry);
  const base = {
    name: name.slice(0, 200),
    args: [],
    env: textMembers(entry["env"] ?? entry["envs"] ?? entry["environment"]),
    headers: textMembers(entry["headers"] ?? entry["http_headers"] ?? entry["requestInit"]),
    isEnabled: entry["enabled"] !== false && entry["disabled"] !== true,
    autoApproved: autoApprovedOf(entry),
  };
  const remote: ServerEntry[] = url === undefined ? [] : [{ ...base, transport: transportOf(type, url), url }];
  // Goose lists its built-in extensions beside the servers; they have neither command nor address.
  if (command === undefined || (url !== undefined && REMOTE_TYPE.test(type))) return remote;
  const local: ServerEntry = { ...base, transport: "stdio", command, args };
  if (LOCAL_TYPE.test(type)) return [local];
  // What the entry holds besides is told once.
  return [local, ...remote.map((server) => ({ ...server, env: {}, headers: {}, autoApproved: [] }))];
}

const REMOTE_TYPE = /http|sse|^ws$|websocket|remote/;
const LOCAL_TYPE = /^(?:stdio|local)$/;

function typeOf(entry: Members): string {
  return textOf(entry, ["type", "transport", "transportType"])?.toLowerCase() ?? "";
}

function commandOf(entry: Members): { command: string | undefined; args: string[] } {
  const raw = entry["command"] ?? entry["cmd"];
  // Zed once nested: command: { path, args, env }.
  if (isMembers(raw)) return { command: textOf(raw, ["path", "command"]), args: textList(raw["args"]) };
  const list = Array.isArray(raw) ? textList(raw) : typeof raw === "string" && raw !== "" ? [raw] : [];
  return { command: list[0], args: [...list.slice(1), ...textList(entry["args"])] };
}

const TRANSPORTS: Readonly<Record<string, Transport>> = { sse: "sse", ws: "websocket", websocket: "websocket" };

function transportOf(type: string, url: string): Transport {
  return TRANSPORTS[type] ?? (type === "" && /\/sse\/?(?:[?#]|$)/.test(url) ? "sse" : "http");
}

function autoApprovedOf(entry: Members): string[] {
  const lists = ["autoApprove", "alwaysAllow", "always_allow", "auto_approve"].flatMap((key) => {
    const value = entry[key];
    return value === true ? ["*"] : textList(value);
  });
  return entry["trust"] === true || entry["default_tools_approval_mode"] === "approve" ? ["*"] : lists;
}

function textOf(entry: Members, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = entry[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}

function textList(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item) => (typeof item === "string" || typeof item === "number" ? [String(item)] : []));
}

function textMembers(value: unknown): Record<string, string> {
  if (!isMembers(value)) return {};
  const pairs = Object.entries(value).flatMap(([name, member]) =>
    typeof member === "string" || typeof member === "number" ? [[name, String(member)] as const] : [],
  );
  return Object.fromEntries(pairs);
}
