import { type ClientDefinition, defineClient, place } from "./client-definition.ts";
import { MORE_CLIENTS } from "./clients-more.ts";

const JSONC = { format: "jsonc" } as const;
const CODE_KEYS = { format: "jsonc", keys: ["servers", "mcpServers"] } as const;
const CODE_SETTINGS = { format: "jsonc", keys: ["mcp.servers"] } as const;

function codeConfigs(folder: string): ClientDefinition["configs"] {
  return [
    place("user", `{UD}/${folder}/User/mcp.json`, CODE_KEYS),
    place("user", `{UD}/${folder}/User/settings.json`, CODE_SETTINGS),
    place("user", `{UD}/${folder}/User/profiles/*/mcp.json`, CODE_KEYS),
    place("user", `{UD}/${folder}/User/profiles/*/settings.json`, CODE_SETTINGS),
  ];
}

/** Of an extension: in VS Code, in what was made of it (Cursor, Windsurf, VSCodium), and on its remote side. */
function extensionConfigs(file: string): ClientDefinition["configs"] {
  return [
    place("user", `{UD}/*/User/globalStorage/${file}`),
    place("user", `~/.vscode-server/data/User/globalStorage/${file}`),
  ];
}

const LEADING_CLIENTS: readonly ClientDefinition[] = [
  defineClient("claude-desktop", "Claude Desktop", {
    configs: [place("user", "{UD}/Claude/claude_desktop_config.json")],
    signs: ["{UD}/Claude", "/Applications/Claude.app"],
  }),
  defineClient("claude-code", "Claude Code", {
    configs: [
      place("user", "~/.claude.json", {
        keys: ["mcpServers", "projects.*.mcpServers"],
        movedBy: { variable: "CLAUDE_CONFIG_DIR", path: ".claude.json" },
      }),
      place("project", ".mcp.json", { keys: ["mcpServers", "@flat"] }),
      place("plugin", "~/.claude/plugins/cache/**/.mcp.json", {
        keys: ["mcpServers", "@flat"],
        movedBy: { variable: "CLAUDE_CODE_PLUGIN_CACHE_DIR", path: "**/.mcp.json" },
      }),
      place("plugin", "~/.claude/plugins/repos/**/.mcp.json", {
        keys: ["mcpServers", "@flat"],
        movedBy: { variable: "CLAUDE_CODE_PLUGIN_SEED_DIR", path: "**/.mcp.json" },
      }),
      place("plugin", "~/.claude/plugins/cache/**/plugin.json", {
        movedBy: { variable: "CLAUDE_CODE_PLUGIN_CACHE_DIR", path: "**/plugin.json" },
      }),
      place("plugin", "~/.claude/plugins/repos/**/plugin.json", {
        movedBy: { variable: "CLAUDE_CODE_PLUGIN_SEED_DIR", path: "**/plugin.json" },
      }),
      place("managed", "/Library/Application Support/ClaudeCode/managed-mcp.json", { on: ["darwin"] }),
      place("managed", "/etc/claude-code/managed-mcp.json", { on: ["linux"] }),
      place("managed", "{PROGRAMFILES}/ClaudeCode/managed-mcp.json", { on: ["win32"] }),
    ],
    skills: [
      "~/.claude/skills",
      "~/.claude/plugins/cache/**/skills",
      "~/.claude/plugins/repos/**/skills",
      ".claude/skills",
    ],
    signs: ["~/.claude", "~/.claude.json"],
    programs: ["claude"],
  }),
  defineClient("cursor", "Cursor", {
    configs: [
      place("user", "~/.cursor/mcp.json", JSONC),
      place("user", "{UD}/Cursor/User/mcp.json", CODE_KEYS),
      place("user", "{UD}/Cursor/User/settings.json", CODE_SETTINGS),
      place("plugin", "~/.cursor/plugins/cache/**/mcp.json", { keys: ["mcpServers", "@flat"] }),
      place("plugin", "~/.cursor/plugins/cache/**/.mcp.json", { keys: ["mcpServers", "@flat"] }),
      place("plugin", "~/.cursor/plugins/local/**/mcp.json", { keys: ["mcpServers", "@flat"] }),
      place("plugin", "~/.cursor/plugins/local/**/.mcp.json", { keys: ["mcpServers", "@flat"] }),
      place("project", ".cursor/mcp.json", JSONC),
    ],
    skills: ["~/.cursor/skills", "~/.cursor/skills-cursor", ".cursor/skills"],
    signs: ["~/.cursor", "/Applications/Cursor.app"],
    programs: ["cursor"],
  }),
  defineClient("vscode", "VS Code with Copilot", {
    configs: [
      ...codeConfigs("Code"),
      place("user", "~/.vscode-server/data/User/mcp.json", {
        ...CODE_KEYS,
        movedBy: { variable: "VSCODE_PORTABLE", path: "user-data/User/mcp.json" },
      }),
      place("user", "~/.vscode-server/data/User/settings.json", {
        ...CODE_SETTINGS,
        movedBy: { variable: "VSCODE_PORTABLE", path: "user-data/User/settings.json" },
      }),
      place("project", ".vscode/mcp.json", CODE_KEYS),
      place("project", ".vscode/settings.json", CODE_SETTINGS),
      place("project", "*.code-workspace", { format: "jsonc", keys: ["settings.mcp.servers"] }),
      place("project", ".devcontainer/devcontainer.json", {
        format: "jsonc",
        keys: ["customizations.vscode.mcp.servers"],
      }),
      place("project", ".devcontainer.json", { format: "jsonc", keys: ["customizations.vscode.mcp.servers"] }),
    ],
    skills: ["~/.copilot/skills", ".github/skills"],
    signs: ["~/.vscode", "{UD}/Code"],
  }),
  defineClient("vscode-insiders", "VS Code Insiders", {
    configs: [
      ...codeConfigs("Code - Insiders"),
      place("user", "~/.vscode-server-insiders/data/User/mcp.json", CODE_KEYS),
    ],
    signs: ["~/.vscode-insiders", "{UD}/Code - Insiders"],
  }),
  defineClient("vscodium", "VSCodium", { configs: codeConfigs("VSCodium"), signs: ["{UD}/VSCodium"] }),
  defineClient("copilot-cli", "GitHub Copilot CLI", {
    configs: [place("user", "~/.copilot/mcp-config.json"), place("user", "{CFG}/mcp-config.json")],
    skills: ["~/.copilot/skills"],
    signs: ["~/.copilot"],
    programs: ["copilot"],
  }),
  defineClient("windsurf", "Windsurf", {
    configs: [
      place("user", "~/.codeium/windsurf/mcp_config.json"),
      place("user", "~/.codeium/mcp_config.json"),
      place("project", ".windsurf/mcp_config.json"),
      place("project", ".windsurf/mcp.json"),
    ],
    skills: [
      "~/.codeium/windsurf/skills",
      ".windsurf/skills",
      "/Library/Application Support/Windsurf/skills",
      "/etc/windsurf/skills",
      "{PROGRAMDATA}/Windsurf/skills",
    ],
    signs: ["~/.codeium", "~/.windsurf/extensions"],
  }),
  defineClient("cline", "Cline", {
    configs: [
      ...extensionConfigs("saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
      place("user", "~/.cline/data/settings/cline_mcp_settings.json", {
        movedBy: { variable: "CLINE_DIR", path: "data/settings/cline_mcp_settings.json" },
      }),
      place("project", ".cline/mcp-servers.json"),
    ],
    skills: ["~/.cline/skills", ".cline/skills"],
    signs: ["~/.cline", "~/.vscode/extensions/saoudrizwan.claude-dev-*"],
  }),
  defineClient("roo-code", "Roo Code", {
    configs: [
      ...extensionConfigs("rooveterinaryinc.roo-cline/settings/mcp_settings.json"),
      place("project", ".roo/mcp.json"),
    ],
    skills: ["~/.roo/skills", ".roo/skills"],
    signs: [
      "~/.roo",
      "~/.vscode/extensions/rooveterinaryinc.roo-cline-*",
      "{UD}/*/User/globalStorage/rooveterinaryinc.roo-cline",
    ],
  }),
  defineClient("kilo-code", "Kilo Code", {
    configs: [
      place("user", "~/.kilocode/mcp.json", JSONC),
      ...extensionConfigs("kilocode.kilo-code/settings/mcp_settings.json"),
      place("project", ".kilocode/mcp.json", JSONC),
    ],
    skills: ["~/.kilocode/skills", ".kilocode/skills"],
    signs: ["~/.kilocode"],
  }),
  defineClient("zed", "Zed", {
    configs: [
      place("user", "~/.config/zed/settings.json", {
        ...JSONC,
        keys: ["context_servers", "assistant.mcp_servers"],
        on: ["darwin", "linux"],
      }),
      place("user", "{UD}/Zed/settings.json", {
        ...JSONC,
        keys: ["context_servers", "assistant.mcp_servers"],
        on: ["darwin", "win32"],
      }),
      place("project", ".zed/settings.json", { ...JSONC, keys: ["context_servers"] }),
    ],
    signs: ["{CFG}/zed", "{UD}/Zed", "/Applications/Zed.app"],
    programs: ["zed"],
  }),
  defineClient("codex", "Codex CLI", {
    configs: [
      place("user", "~/.codex/config.toml", {
        format: "toml",
        keys: ["mcp_servers"],
        movedBy: { variable: "CODEX_HOME", path: "config.toml" },
      }),
      place("user", "~/.codex/*.config.toml", { format: "toml", keys: ["mcp_servers"] }),
      place("plugin", "~/.codex/plugins/**/plugin.json"),
      place("managed", "/etc/codex/config.toml", { format: "toml", keys: ["mcp_servers"], on: ["linux", "darwin"] }),
      place("managed", "/Library/Managed Preferences/com.openai.codex.plist", {
        format: "toml-plist",
        keys: ["mcp_servers"],
        on: ["darwin"],
      }),
      place("managed", "{PROGRAMDATA}/OpenAI/Codex/config.toml", {
        format: "toml",
        keys: ["mcp_servers"],
        on: ["win32"],
      }),
      place("project", ".codex/config.toml", { format: "toml", keys: ["mcp_servers"] }),
    ],
    skills: ["~/.codex/skills", "~/.codex/plugins/**/skills", "/etc/codex/skills", ".codex/skills"],
    signs: ["~/.codex", "/etc/codex"],
    programs: ["codex"],
  }),
  defineClient("gemini-cli", "Gemini CLI", {
    configs: [
      place("user", "~/.gemini/settings.json", JSONC),
      place("plugin", "~/.gemini/extensions/*/gemini-extension.json"),
      place("project", ".gemini/settings.json", JSONC),
    ],
    skills: ["~/.gemini/skills", ".gemini/skills"],
    signs: ["~/.gemini"],
    programs: ["gemini"],
  }),
  defineClient("antigravity", "Antigravity", {
    configs: [
      place("user", "~/.gemini/antigravity/mcp_config.json"),
      place("user", "~/.gemini/config/mcp_config.json"),
      place("plugin", "~/.gemini/config/plugins/*/mcp_config.json"),
      place("project", ".agents/mcp_config.json"),
      place("project", ".gemini/mcp_config.json"),
      place("project", ".agent/mcp_config.json"),
    ],
    skills: ["~/.gemini/antigravity/skills", "~/.agent/skills", ".agent/skills"],
    signs: ["~/.gemini/antigravity"],
  }),
];

/** All AI clients the sweep knows, each once. */
export const CLIENTS: readonly ClientDefinition[] = [...LEADING_CLIENTS, ...MORE_CLIENTS];
