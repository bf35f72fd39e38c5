export const TRANSPORTS = ["streamable-http", "sse", "stdio"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** `quarantined` is set by security people and lifted by them only; `disabled` is an operator's switch. */
export const SERVER_STATUSES = ["active", "disabled", "quarantined"] as const;
export type ServerStatus = (typeof SERVER_STATUSES)[number];

export const CREDENTIAL_TYPES = ["none", "bearer", "header", "basic", "oauth-client-credentials", "env"] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/** Severity of a risk or a finding. */
export const SEVERITIES = ["critical", "high", "medium", "low", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What the gateway uses towards an upstream server, in clear: lives in memory only, at rest it is sealed in the vault. */
export type Credential =
  | { readonly type: "none" }
  | { readonly type: "bearer"; readonly token: string }
  | { readonly type: "header"; readonly name: string; readonly value: string }
  | { readonly type: "basic"; readonly username: string; readonly password: string }
  | {
      readonly type: "oauth-client-credentials";
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scopes?: readonly string[] | undefined;
    }
  | { readonly type: "env"; readonly values: Readonly<Record<string, string>> };

/** What anyone may see of a credential. `hint` is its last four characters. `names` are header or variable names. */
export interface CredentialSummary {
  readonly type: CredentialType;
  readonly rotatedAt: number | null;
  readonly hint: string | null;
  readonly names: readonly string[];
  readonly tokenUrl: string | null;
}

/** Values of a server's configuration that may carry secrets. Sealed as one record; see `Server.sealedSecrets`. */
export interface ServerSecrets {
  readonly credential: Credential;
  /** Fixed request headers by name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Environment of the stdio child by name. */
  readonly env: Readonly<Record<string, string>>;
  /** Arguments of the stdio command: people put tokens there. */
  readonly args: readonly string[];
}

export const HEALTH_STATES = ["unknown", "ok", "degraded", "unreachable", "unauthorized", "not_mcp"] as const;
export type HealthState = (typeof HEALTH_STATES)[number];

export interface ServerHealth {
  readonly state: HealthState;
  readonly checkedAt: number | null;
  readonly latencyMs: number | null;
  readonly error: string | null;
}

/** A registered upstream MCP server. */
export interface Server {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly transport: Transport;
  /** For `streamable-http` and `sse`; without user info, query secrets or fragment. */
  readonly url: string | null;
  /** For `stdio`. The arguments are in the sealed secrets. */
  readonly command: string | null;
  readonly cwd: string | null;
  /** Names only; the values are in the sealed secrets. */
  readonly headerNames: readonly string[];
  readonly envNames: readonly string[];
  /** The vault's sealed form of `ServerSecrets`. */
  readonly sealedSecrets: string;
  /** Raised by one with each new `sealedSecrets`, and sealed with them; sessions know by it that they hold an older credential. */
  readonly secretsVersion: number;
  readonly credential: CredentialSummary;
  readonly groups: readonly string[];
  readonly owner: string | null;
  readonly status: ServerStatus;
  readonly allowPrivateNetwork: boolean;
  readonly shareable: boolean;
  readonly protocolVersion: string | null;
  readonly serverInfo: { readonly name: string; readonly version: string } | null;
  readonly health: ServerHealth;
  /** The highest risk among its tools. Observed with them: `saveTools` sets it. */
  readonly risk: Severity;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** MCP tool annotations that decide traits; a hint that is absent means destructive and not read-only (MCP, tool annotations). */
export interface ToolDefinition {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly inputSchema?: unknown;
  readonly outputSchema?: unknown;
  readonly annotations?: Readonly<Record<string, unknown>> | undefined;
}

/** `unreviewed` at first sight, `changed` when the upstream shows another definition than the accepted one. */
export const TOOL_STATES = ["approved", "changed", "unreviewed"] as const;
export type ToolState = (typeof TOOL_STATES)[number];

/** A tool of a server as last accepted, with the change that waits for review, if any. */
export interface ServerTool {
  readonly serverId: string;
  readonly name: string;
  /** SHA-256 of the canonical definition, hex. */
  readonly digest: string;
  readonly definition: ToolDefinition;
  readonly state: ToolState;
  readonly pending: { readonly digest: string; readonly definition: ToolDefinition; readonly seenAt: number } | null;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  /** Since when the upstream lists it no more; null while it does. What was accepted of it stays, to be compared on its return. */
  readonly absentSince: number | null;
}

/** What an upstream showed of its tools: the whole list, or pages of it. */
export interface ToolListing {
  readonly tools: readonly ToolDefinition[];
  /** Names on pages that were seen before these; undefined while a page may be missing, so that nothing is known to be gone. */
  readonly earlier: ReadonlySet<string> | undefined;
}
