import { parse as parseToml } from "smol-toml";
import { describe, expect, test } from "vitest";
import { AppError } from "../../lib/errors.ts";
import { toClientConfig } from "../../operations/agents/client-config.ts";
import { mergeConfig } from "./merge-config.ts";

const URLS = {
  files: "http://127.0.0.1:7420/gateway/files/mcp",
  everything: "http://127.0.0.1:7420/gateway/everything/mcp",
};

function merge(text: string, type: string, { key = "rl_agent_new", mayReplace = false } = {}): string {
  return mergeConfig(text, toClientConfig(type, { urls: URLS, key }), {
    path: "file",
    urls: URLS,
    mayReplace,
    directTo,
  }).text;
}

const DIRECT = "https://files.example/mcp";

/** As if the address of `files` were known. */
function directTo(entry: unknown): string | undefined {
  return JSON.stringify(entry).includes(DIRECT) ? "files" : undefined;
}

function refusal(text: string, type: string): string {
  try {
    merge(text, type);
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return "merged";
}

describe("JSON", () => {
  const entry = { url: URLS.files, headers: { Authorization: "Bearer rl_agent_new" } };

  test.each([
    ["no file", ""],
    ["an empty file", "\n"],
    ["an empty object", "{}"],
    ["an empty table", '{"mcpServers":{}}'],
  ])("adds the servers to %s", (_what, text) => {
    const tree: unknown = JSON.parse(merge(text, "cursor"));
    expect(tree).toEqual({
      mcpServers: { files: entry, everything: { url: URLS.everything, headers: entry.headers } },
    });
  });

  test("keeps comments, other servers and other settings", () => {
    const text =
      '{\n  // mine\n  "theme": "dark",\n  "mcpServers": {\n    "own": { "command": "x" }, // keep\n  },\n  "last": [1,2],\n}\n';
    const after = merge(text, "gemini-cli");
    for (const part of ["// mine", '"theme": "dark"', '"command": "x"', "// keep", '"last": [1,2]'])
      expect(after).toContain(part);
    expect(after).toContain(`"httpUrl": "${URLS.files}"`);
  });

  test("keeps what a person added to an entry of ours, and gives it the new key", () => {
    const first = merge("", "cursor", { key: "rl_agent_old" });
    const edited = first.replace('"headers": {', '"disabled": true, "headers": { "X-Team": "a",');
    const after = merge(edited, "cursor");
    expect(JSON.parse(after)).toMatchObject({
      mcpServers: { files: { disabled: true, headers: { "X-Team": "a", Authorization: "Bearer rl_agent_new" } } },
    });
    expect(after).not.toContain("rl_agent_old");
  });

  test("merging twice changes nothing the second time", () => {
    const once = merge('{"a": 1}', "vscode-copilot");
    expect(merge(once, "vscode-copilot")).toBe(once);
  });

  test("keeps a byte-order mark and the line ends", () => {
    const after = merge('\ufeff{\r\n  "a": 1\r\n}\r\n', "windsurf");
    expect(after.startsWith("\ufeff{")).toBe(true);
    expect(after.replaceAll("\r\n", "")).not.toContain("\n");
  });

  test("replaces somebody else's server of the same name only when told", () => {
    const text = '{"mcpServers": {"files": {"command": "mine"}, "b": {"command": "c"}}}';
    expect(refusal(text, "claude-code")).toBe("conflict");
    const after: unknown = JSON.parse(merge(text, "claude-code", { mayReplace: true }));
    expect(after).toMatchObject({ mcpServers: { files: { type: "http" }, b: { command: "c" } } });
    expect(JSON.stringify(after)).not.toContain("mine");
  });

  test("takes out what goes around the gateway only when told, also further in", () => {
    const pay = `{ "url": "${DIRECT}", "headers": { "X": "sk" } }`;
    const text = `{"mcpServers": {"own": {"command": "c"}, "pay": ${pay}}, "projects": {"/a": {"mcpServers": {"p": ${pay}}}}}`;
    expect(JSON.parse(merge(text, "claude-code"))).toMatchObject({ mcpServers: { pay: {} } });
    const after: unknown = JSON.parse(merge(text, "claude-code", { mayReplace: true }));
    expect(after).toMatchObject({ mcpServers: { own: { command: "c" }, files: {} }, projects: { "/a": {} } });
    expect(JSON.stringify(after)).not.toContain("sk");
  });

  test.each([
    ["text that is no JSON", "{ nope"],
    ["JSON5 that cannot be edited safely", "{ mcp: { servers: {} } }"],
    ["an array", "[]"],
    ["a table that is none", '{"mcp": {"servers": []}}'],
    ["a name twice", '{"mcp": {"servers": {"a": {}}}, "mcp": {"servers": {}}}'],
  ])("leaves %s alone", (_what, text) => {
    expect(refusal(text, "openclaw")).toBe("invalid_input");
  });
});

describe("TOML", () => {
  const OWN =
    '# mine\nmodel = "o5" # favourite\n\n[mcp_servers.own]\ncommand = "x"\nargs = [\n  "[not.a.header]",\n]\n';

  test("keeps comments and other tables, and adds the servers", () => {
    const after = merge(OWN, "codex");
    expect(after.startsWith(OWN.trimEnd())).toBe(true);
    expect(parseToml(after)).toMatchObject({
      model: "o5",
      mcp_servers: {
        own: { command: "x" },
        files: { url: URLS.files, http_headers: { Authorization: "Bearer rl_agent_new" } },
        everything: { url: URLS.everything },
      },
    });
  });

  test("renews the key of an entry of ours and keeps what a person added to it", () => {
    const first = `${merge(OWN, "codex", { key: "rl_agent_old" })}\n[profiles.a]\nx = 1\n`;
    const edited = first.replace("[mcp_servers.files]", "[mcp_servers.files]\nstartup_timeout_sec = 20");
    const after = merge(edited, "codex");
    expect(after).not.toContain("rl_agent_old");
    expect(parseToml(after)).toMatchObject({
      profiles: { a: { x: 1 } },
      mcp_servers: { own: { command: "x" }, files: { startup_timeout_sec: 20 } },
    });
    expect(merge(after, "codex")).toBe(after);
  });

  test("keeps the comments between an entry of ours and what follows, however often it is renewed", () => {
    const ours = `[mcp_servers.files]\nurl = "${URLS.files}"\n`;
    const notes = '# my notes\n\n# model = "o3"\n';
    const inner = `${ours}# inside\n[mcp_servers.files.env]\nA = "1"\n`;
    for (const [text, expected] of [
      [`x = 1\n\n${ours}\n${notes}[tui]\ny = 2\n`, `x = 1\n\n${notes}[tui]\ny = 2\n\n[mcp_servers`],
      [`x = 1\n\n${ours}${notes}`, `x = 1\n\n${notes}\n[mcp_servers`],
      [`x = 1\n\n${inner}[tui]\ny = 2\n`, "x = 1\n\n[tui]\ny = 2\n\n[mcp_servers"],
    ] as const) {
      const after = merge(text, "codex");
      expect(after.slice(0, expected.length)).toBe(expected);
      expect(merge(after, "codex")).toBe(after);
    }
  });

  test("takes out what goes around the gateway only when told, whatever its quotes", () => {
    const text = `${OWN}\n[mcp_servers."my pay"]\nurl = "${DIRECT}"\n[mcp_servers."my pay".env]\nKEY = "sk"\n`;
    expect(merge(text, "codex")).toContain("sk");
    const after = merge(text, "codex", { mayReplace: true });
    expect(after).not.toMatch(/my pay|sk|files\.example/);
    expect(parseToml(after)).toMatchObject({ mcp_servers: { own: { command: "x" }, files: { url: URLS.files } } });
  });

  test("a file of its own is not written anew", () => {
    const once = merge("", "codex");
    expect(merge(once, "codex")).toBe(once);
  });

  test("says of an inline table that it cannot be extended, not that it is no TOML", () => {
    expect(() => merge("mcp_servers = { own = { command = 'x' } }", "codex")).toThrow("cannot be extended safely");
  });

  test.each([
    ["text that is no TOML", "= nope"],
    ["an inline table of servers", "mcp_servers = { own = { command = 'x' } }"],
  ])("leaves %s alone", (_what, text) => {
    expect(refusal(text, "codex")).toBe("invalid_input");
  });
});
