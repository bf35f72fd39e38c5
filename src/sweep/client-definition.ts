export type Platform = "darwin" | "linux" | "win32";
/** `toml-plist`: TOML as Base64 under `config_toml_base64` of a property list. */
export type ConfigFormat = "json" | "jsonc" | "json5" | "toml" | "toml-plist" | "yaml";
export type ConfigScope = "user" | "project" | "managed" | "plugin";

/**
 * Where one configuration may stand. A path starts with `~/` (home), `{UD}/` (the platform's user-data folder), `{CFG}/`
 * (`~/.config` but on Windows `%APPDATA%`), `{PROGRAMFILES}/`, `{PROGRAMDATA}/`, `/` (this machine), or with none of these:
 * then it is relative to each project. `*` stands for any characters within a segment, `**` for up to six folders.
 */
export interface ConfigPlace {
  readonly scope: ConfigScope;
  readonly path: string;
  readonly format: ConfigFormat;
  /** Where the servers are inside: dotted path, `*` for any member; `@flat` for a file that is the map itself. */
  readonly keys: readonly string[];
  readonly on?: readonly Platform[] | undefined;
  /** An environment variable that moves this file; honoured only for the own home. */
  readonly movedBy?: { readonly variable: string; readonly path: string } | undefined;
}

/** One AI client: everything the sweep knows about it. Adding a client is one of these plus its fixture. */
export interface ClientDefinition {
  readonly id: string;
  readonly title: string;
  /** `agent`: acts on its own and is reported itself when nobody registered it. */
  readonly kind: "client" | "agent";
  readonly configs: readonly ConfigPlace[];
  /** Folders of skills, in the form of `ConfigPlace.path`. */
  readonly skills: readonly string[];
  /** Paths whose presence means that it is installed. */
  readonly signs: readonly string[];
  /** Names of its processes and command-line programs. */
  readonly programs: readonly string[];
}

interface PlaceOptions {
  readonly format?: ConfigFormat;
  readonly keys?: readonly string[];
  readonly on?: readonly Platform[];
  readonly movedBy?: ConfigPlace["movedBy"];
}

/** `mcpServers` in JSON unless said otherwise: what most vendors took over from Claude Desktop. */
export function place(scope: ConfigScope, path: string, options: PlaceOptions = {}): ConfigPlace {
  return { scope, path, format: "json", keys: ["mcpServers"], ...options };
}

interface ClientOptions {
  readonly kind?: "client" | "agent";
  readonly configs: readonly ConfigPlace[];
  readonly skills?: readonly string[];
  readonly signs?: readonly string[];
  readonly programs?: readonly string[];
}

export function defineClient(id: string, title: string, options: ClientOptions): ClientDefinition {
  return { id, title, kind: "client", skills: [], signs: [], programs: [], ...options };
}
