import { stringify as toToml } from "smol-toml";

/** A configuration that a person pastes into an AI client; it holds the agent's key. */
export interface ClientConfig {
  /** Where the client reads it. */
  readonly path: string;
  readonly format: "json" | "toml";
  readonly text: string;
}

interface Endpoint {
  readonly url: string;
  readonly key: string;
}

interface ClientShape {
  readonly path: string;
  readonly format: "json" | "toml";
  /** The names of the tables around the servers, from the outside in. */
  readonly under: readonly string[];
  entry(endpoint: Endpoint): Record<string, unknown>;
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
  // Claude Desktop takes no headers: the stdio bridge carries the key.
  "claude-desktop": {
    path: "claude_desktop_config.json",
    format: "json",
    under: ["mcpServers"],
    entry: ({ url, key }) => ({
      command: "npx",
      args: ["-y", "runlayer", "stdio", "--url", url],
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

/** The configuration of one client for these gateway URLs by server name. */
export function toClientConfig(
  type: string,
  { urls, key }: { readonly urls: Readonly<Record<string, string>>; readonly key: string },
): ClientConfig {
  const shape = SHAPES[type] ?? GENERIC;
  const entries = Object.entries(urls).map(([name, url]) => [name, shape.entry({ url, key })] as const);
  const tree = shape.under.reduceRight<Record<string, unknown>>(
    (inner, name) => ({ [name]: inner }),
    Object.fromEntries(entries),
  );
  const text = shape.format === "toml" ? toToml(tree) : JSON.stringify(tree, null, 2);
  return { path: shape.path, format: shape.format, text };
}

function bearer(key: string): Record<string, string> {
  return { Authorization: `Bearer ${key}` };
}
