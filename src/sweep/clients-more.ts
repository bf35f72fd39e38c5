import { type ClientDefinition, defineClient, place } from "./client-definition.ts";

/** Clients whose user and project files have the same name below a dot folder. */
function dotFolderClient(id: string, title: string, file: string): ClientDefinition {
  return defineClient(id, title, {
    configs: [place("user", `~/.${id}/${file}`), place("project", `.${id}/${file}`)],
    skills: [`~/.${id}/skills`, `.${id}/skills`],
    signs: [`~/.${id}`],
    programs: [id],
  });
}

const OPENCODE = { format: "jsonc", keys: ["mcp"] } as const;
const CLAW = { format: "json5", keys: ["mcp.servers", "mcpServers"] } as const;
const HERMES = { format: "yaml", keys: ["mcp_servers"] } as const;

export const MORE_CLIENTS: readonly ClientDefinition[] = [
  defineClient("amazon-q", "Amazon Q Developer", {
    configs: [
      place("user", "~/.aws/amazonq/mcp.json"),
      place("user", "~/.aws/amazonq/agents/*.json"),
      place("project", ".amazonq/mcp.json"),
    ],
    signs: ["~/.aws/amazonq"],
  }),
  defineClient("kiro", "Kiro", {
    configs: [
      place("user", "~/.kiro/settings/mcp.json", { keys: ["mcpServers", "powers.mcpServers"] }),
      place("user", "~/.kiro/agents/*.json"),
      place("plugin", "~/.kiro/powers/installed/*/mcp.json"),
      place("project", ".kiro/settings/mcp.json", { keys: ["mcpServers", "powers.mcpServers"] }),
      place("project", ".kiro/agents/*.json"),
    ],
    skills: ["~/.kiro/skills", ".kiro/skills"],
    signs: ["~/.kiro"],
    programs: ["kiro"],
  }),
  defineClient("junie", "JetBrains Junie", {
    configs: [place("user", "~/.junie/mcp/mcp.json"), place("project", ".junie/mcp/mcp.json")],
    skills: ["~/.junie/skills", ".junie/skills"],
    signs: ["~/.junie"],
  }),
  defineClient("lm-studio", "LM Studio", {
    configs: [place("user", "~/.lmstudio/mcp.json"), place("user", "~/.cache/lm-studio/mcp.json")],
    signs: ["~/.lmstudio", "/Applications/LM Studio.app"],
    programs: ["lms"],
  }),
  defineClient("goose", "Goose", {
    configs: [
      place("user", "~/.config/goose/config.yaml", { format: "yaml", keys: ["extensions"], on: ["darwin", "linux"] }),
      place("user", "{UD}/Block/goose/config/config.yaml", { format: "yaml", keys: ["extensions"], on: ["win32"] }),
    ],
    skills: ["~/.config/goose/skills"],
    signs: ["~/.config/goose", "{UD}/Block/goose"],
    programs: ["goose", "goosed"],
  }),
  defineClient("opencode", "OpenCode", {
    configs: [
      place("user", "~/.config/opencode/opencode.json", {
        ...OPENCODE,
        movedBy: { variable: "OPENCODE_CONFIG_DIR", path: "opencode.json" },
      }),
      place("user", "~/.config/opencode/opencode.jsonc", {
        ...OPENCODE,
        movedBy: { variable: "OPENCODE_CONFIG_DIR", path: "opencode.jsonc" },
      }),
      place("user", "~/.opencode/opencode.json", {
        ...OPENCODE,
        movedBy: { variable: "OPENCODE_CONFIG", path: "" },
      }),
      place("user", "~/.opencode/opencode.jsonc", OPENCODE),
      ...["opencode.json", "opencode.jsonc"].flatMap((file) => [
        place("managed", `/Library/Application Support/opencode/${file}`, { ...OPENCODE, on: ["darwin"] }),
        place("managed", `/etc/opencode/${file}`, { ...OPENCODE, on: ["linux"] }),
        place("managed", `{PROGRAMDATA}/opencode/${file}`, { ...OPENCODE, on: ["win32"] }),
      ]),
      place("project", "opencode.json", OPENCODE),
      place("project", "opencode.jsonc", OPENCODE),
    ],
    skills: ["~/.config/opencode/skills", "~/.config/opencode/skill", ".opencode/skills", "~/.cache/opencode/skills/*"],
    signs: ["~/.config/opencode", "~/.opencode"],
    programs: ["opencode"],
  }),
  defineClient("continue", "Continue", {
    configs: [
      place("user", "~/.continue/config.yaml", { format: "yaml" }),
      place("user", "~/.continue/config.json", {
        format: "jsonc",
        keys: ["mcpServers", "experimental.modelContextProtocolServers"],
      }),
      place("project", ".continue/mcpServers/*.yaml", { format: "yaml" }),
      place("project", ".continue/mcpServers/*.yml", { format: "yaml" }),
      place("project", ".continue/mcpServers/*.json", { format: "jsonc" }),
    ],
    skills: ["~/.continue/skills", ".continue/skills"],
    signs: ["~/.continue"],
  }),
  defineClient("amp", "Amp", {
    configs: [
      place("user", "{CFG}/amp/settings.json", { format: "jsonc", keys: ["amp.mcpServers"] }),
      place("user", "~/.amp/settings.json", { format: "jsonc", keys: ["amp.mcpServers"] }),
      place("project", ".amp/settings.json", { format: "jsonc", keys: ["amp.mcpServers"] }),
    ],
    skills: ["~/.config/agents/skills"],
    signs: ["{CFG}/amp", "~/.amp"],
    programs: ["amp"],
  }),
  defineClient("warp", "Warp", {
    configs: [place("user", "~/.warp/mcp.json", { keys: ["mcpServers", "servers", "@flat"] })],
    signs: ["~/.warp", "/Applications/Warp.app"],
  }),
  defineClient("trae", "Trae", {
    configs: [place("user", "{UD}/Trae/User/mcp.json"), place("project", ".trae/mcp.json")],
    skills: ["~/.trae/skills", ".trae/skills"],
    signs: ["~/.trae", "{UD}/Trae"],
  }),
  defineClient("mistral-vibe", "Mistral Vibe", {
    configs: [
      place("user", "~/.vibe/config.toml", { format: "toml", keys: ["mcp_servers"] }),
      place("project", ".vibe/config.toml", { format: "toml", keys: ["mcp_servers"] }),
    ],
    skills: ["~/.vibe/skills", ".vibe/skills"],
    signs: ["~/.vibe"],
    programs: ["vibe"],
  }),
  dotFolderClient("kimi", "Kimi CLI", "mcp.json"),
  dotFolderClient("factory", "Factory Droid", "mcp.json"),
  dotFolderClient("qwen", "Qwen Code", "settings.json"),
  dotFolderClient("iflow", "iFlow CLI", "settings.json"),
  dotFolderClient("tabnine", "Tabnine", "agent/settings.json"),
  defineClient("crush", "Crush", {
    configs: [
      place("user", "~/.config/crush/crush.json", OPENCODE),
      place("project", "crush.json", OPENCODE),
      place("project", ".crush.json", OPENCODE),
    ],
    skills: ["~/.config/crush/skills"],
    signs: ["~/.config/crush"],
    programs: ["crush"],
  }),
  defineClient("qoder", "Qoder", {
    configs: [
      place("user", "~/.qoder/mcp.json"),
      place("user", "{UD}/Qoder/SharedClientCache/mcp.json"),
      place("project", ".qoder/mcp.json"),
    ],
    skills: ["~/.qoder/skills", ".qoder/skills"],
    signs: ["~/.qoder", "{UD}/Qoder"],
  }),
  defineClient("mcporter", "mcporter", {
    configs: [
      place("user", "~/.mcporter/mcporter.json", { format: "jsonc" }),
      place("user", "~/.mcporter/mcporter.jsonc", { format: "jsonc" }),
      place("project", "config/mcporter.json", { format: "jsonc" }),
    ],
    skills: ["~/.mcporter/skills"],
    signs: ["~/.mcporter"],
    programs: ["mcporter"],
  }),
  defineClient("openclaw", "OpenClaw", {
    kind: "agent",
    configs: [
      place("user", "~/.openclaw/openclaw.json", CLAW),
      place("user", "~/.openclaw-*/openclaw.json", CLAW),
      place("user", "~/.clawdbot/clawdbot.json", CLAW),
      place("user", "~/.clawdbot/openclaw.json", CLAW),
      place("user", "~/.moltbot/moltbot.json", CLAW),
      place("user", "~/.moltbot/openclaw.json", CLAW),
      place("project", ".openclaw/openclaw.json", CLAW),
    ],
    skills: [
      "~/.openclaw/skills",
      "~/.openclaw/workspace/skills",
      "~/.clawdbot/skills",
      "~/.moltbot/skills",
      ".openclaw/skills",
    ],
    signs: [
      "~/.openclaw",
      "~/.openclaw-*",
      "~/.clawdbot",
      "~/.moltbot",
      "/Applications/OpenClaw.app",
      "~/.config/systemd/user/openclaw-gateway*.service",
      "~/Library/LaunchAgents/bot.molt.*.plist",
    ],
    programs: ["openclaw", "openclaw-gateway", "clawdbot", "moltbot"],
  }),
  defineClient("hermes", "Hermes Agent", {
    kind: "agent",
    configs: [
      place("user", "~/.hermes/config.yaml", HERMES),
      place("user", "~/.hermes/profiles/*/config.yaml", HERMES),
    ],
    skills: ["~/.hermes/skills"],
    signs: ["~/.hermes"],
    programs: ["hermes", "hermes-agent"],
  }),
  defineClient("agents", "Agents folder (shared by several clients)", {
    configs: [
      "mcp.json",
      "mcp_config.json",
      "mcp_settings.json",
      "cline_mcp_settings.json",
      "claude_desktop_config.json",
    ].map((file) => place("project", file, { keys: ["mcpServers", "servers", "mcp.servers", "@flat"] })),
    skills: ["~/.agents/skills", ".agents/skills"],
  }),
];
