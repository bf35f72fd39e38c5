import { stringify as toToml } from "smol-toml";

/** A configuration that a person pastes into an AI client; it holds the agent's key. */
export interface ClientConfig {
  /** Where the client reads it. */
  readonly path: string;
  readonly format: "json" | "toml";
  readonly text: string;
  /** The names of the tables around the servers, from the outside in. */
  readonly under: readonly string[];
  /** What stands in the innermost table, by server name. */
  readonly entries: Readonly<Record<string, ClientEntry>>;
  /** The client takes no headers: it starts `runlayer stdio`, which carries the key. */
  readonly isBridged: boolean;
}

/** One server as a client writes it. */
export type ClientEntry = Readonly<Record<string, unknown>>;

/** How a client starts `runlayer`, where it takes no headers. */
export interface BridgeCommand {
  readonly command: string;
  readonly args: readonly string[];
}

export interface ClientTarget {
  /** Gateway URLs by server name. */
  readonly urls: Readonly<Record<string, string>>;
  readonly key: string;
  readonly bridge?: BridgeCommand | undefined;
}

interface Endpoint {
  readonly url: string;
  readonly key: string;
  readonly bridge: BridgeCommand;
}

/** Stands for the path on the client's machine, which nobody else knows. Never a name to fetch: whoever registers it gets the keys. */
export const LAUNCHER_PLACEHOLDER = "/path/to/runlayer/bin/runlayer.js";
const PLACEHOLDER_BRIDGE: BridgeCommand = { command: "node", args: [LAUNCHER_PLACEHOLDER] };

interface ClientShape {
  readonly path: string;
  readonly format: "json" | "toml";
  /** The names of the tables around the servers, from the outside in. */
  readonly under: readonly string[];
  readonly isBridged?: true;
  entry(endpoint: Endpoint): ClientEntry;
}

const GENERIC: ClientShape = {
  path: ".mcp.json",
  format: "json",
  under: ["mcpServers"],
  entry: ({ url, key }) => ({ type: "http", url, headers: bearer(key) }),
};

/** How each known client writes an HTTP server, from the vendors' documents (docs/clients.md). Others get the common form. */
const SHAPES: Readonly<Record<string, ClientShape>> = {
  "claude-code": GENERIC,
  "claude-desktop": {
    isBridged: true,
    path: "claude_desktop_config.json",
    format: "json",
    under: ["mcpServers"],
    entry: ({ url, key, bridge }) => ({
      command: bridge.command,
      args: [...bridge.args, "stdio", "--url", url],
      env: { RUNLAYER_AGENT_KEY: key },
    }),
  },
  cursor: {
    path: "~/.cursor/mcp.json",
    format: "json",
    under: ["mcpServers"],
    entry: ({ url, key }) => ({ url, headers: bearer(key) }),
  },
  "vscode-copilot": {
    path: ".vscode/mcp.json",
    format: "json",
    under: ["servers"],
    entry: ({ url, key }) => ({ type: "http", url, headers: bearer(key) }),
  },
  windsurf: {
    path: "~/.codeium/windsurf/mcp_config.json",
    format: "json",
    under: ["mcpServers"],
    entry: ({ url, key }) => ({ serverUrl: url, headers: bearer(key) }),
  },
  codex: {
    path: "~/.codex/config.toml",
    format: "toml",
    under: ["mcp_servers"],
    entry: ({ url, key }) => ({ url, http_headers: bearer(key) }),
  },
  "gemini-cli": {
    path: "~/.gemini/settings.json",
    format: "json",
    under: ["mcpServers"],
    entry: ({ url, key }) => ({ httpUrl: url, headers: bearer(key) }),
  },
  openclaw: {
    path: "~/.openclaw/openclaw.json",
    format: "json",
    under: ["mcp", "servers"],
    entry: ({ url, key }) => ({ url, transport: "streamable-http", headers: bearer(key) }),
  },
};

/** The configuration of one client for these gateway URLs. */
export function toClientConfig(type: string, { urls, key, bridge = PLACEHOLDER_BRIDGE }: ClientTarget): ClientConfig {
  // A type is any word, `constructor` too.
  const shape = (Object.hasOwn(SHAPES, type) ? SHAPES[type] : undefined) ?? GENERIC;
  const { path, format, under, isBridged = false } = shape;
  const entries = Object.fromEntries(
    Object.entries(urls).map(([name, url]) => [name, shape.entry({ url, key, bridge })]),
  );
  const tree = under.reduceRight<Record<string, unknown>>((inner, name) => ({ [name]: inner }), entries);
  const text = format === "toml" ? toToml(tree) : JSON.stringify(tree, null, 2);
  return { path, format, under, entries, text, isBridged };
}

function bearer(key: string): Record<string, string> {
  return { Authorization: `Bearer ${key}` };
}
