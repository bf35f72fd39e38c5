import type { ConfigFormat } from "./client-definition.ts";

/** A setting of a client, beside its servers, by which tools run without a question to the user. */
export interface ApprovalSetting {
  readonly client: string;
  /** In the form of `ConfigPlace.path`. */
  readonly path: string;
  readonly format: ConfigFormat;
  /** Dotted path inside. */
  readonly key: string;
  readonly isLoose: (value: unknown) => boolean;
  /** What it does, for the evidence. */
  readonly what: string;
}

type Rule = Pick<ApprovalSetting, "key" | "isLoose" | "what">;

const isTrue = (value: unknown): boolean => value === true;

const CLAUDE_CODE: readonly Rule[] = [
  { key: "enableAllProjectMcpServers", isLoose: isTrue, what: "takes every server that a project brings" },
  {
    key: "permissions.defaultMode",
    isLoose: (value) => value === "bypassPermissions",
    what: "runs every tool without asking",
  },
  {
    key: "permissions.allow",
    isLoose: (value) => Array.isArray(value) && value.some(isWholeServer),
    what: "runs all tools of a server without asking",
  },
];

const VSCODE: readonly Rule[] = ["chat.tools.autoApprove", "chat.tools.global.autoApprove"].map((key) => ({
  key,
  isLoose: isTrue,
  what: "runs every tool without asking",
}));

const CODEX: readonly Rule[] = [
  { key: "approval_policy", isLoose: (value) => value === "never", what: "never asks before a tool runs" },
];

export const APPROVAL_SETTINGS: readonly ApprovalSetting[] = [
  ...[
    "~/.claude/settings.json",
    "~/.claude/settings.local.json",
    ".claude/settings.json",
    ".claude/settings.local.json",
  ].flatMap((path) => CLAUDE_CODE.map((rule) => ({ client: "claude-code", path, format: "json" as const, ...rule }))),
  ...["{UD}/Code/User/settings.json", "{UD}/Code/User/profiles/*/settings.json", ".vscode/settings.json"].flatMap(
    (path) => VSCODE.map((rule) => ({ client: "vscode", path, format: "jsonc" as const, ...rule })),
  ),
  ...["~/.codex/config.toml", "/etc/codex/config.toml", ".codex/config.toml"].flatMap((path) =>
    CODEX.map((rule) => ({ client: "codex", path, format: "toml" as const, ...rule })),
  ),
];

/** `mcp__github` and `mcp__github__*` are all its tools; `mcp__github__list_issues` is one. */
function isWholeServer(rule: unknown): boolean {
  return typeof rule === "string" && /^mcp__(?:(?!__).)+(?:__\*)?$/.test(rule);
}
