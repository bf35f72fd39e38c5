import type { Peer } from "../../lib/egress/peer-book.ts";
import type { Credential, ToolDefinition, Transport } from "../../domain/server.ts";

/** What is needed to contact an upstream server, secrets in clear. */
export interface ProbeTarget {
  readonly transport: Transport;
  /** For `streamable-http` and `sse`. */
  readonly url?: string | null | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly credential: Credential;
  /** For `stdio`. */
  readonly command?: string | null | undefined;
  readonly args: readonly string[];
  readonly cwd?: string | null | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly allowPrivateNetwork: boolean;
}

/**
 * `ok`: speaks MCP and listed what it has. `unauthorized`: wants another credential. `not_mcp`: answered, but not as MCP.
 * `unreachable`: no answer. `not_contacted`: refused before anything was sent.
 */
export type DiscoveryState = "ok" | "unreachable" | "unauthorized" | "not_mcp" | "not_contacted";

/** A resource as the server lists it; more members than these are kept. */
export interface ResourceDefinition {
  readonly uri: string;
  readonly [member: string]: unknown;
}

/** A prompt as the server lists it; more members than these are kept. */
export interface PromptDefinition {
  readonly name: string;
  readonly [member: string]: unknown;
}

/** What the contact showed. Every text in it but `error` comes from the upstream and is not to be trusted. */
export interface Discovery {
  readonly state: DiscoveryState;
  readonly protocolVersion?: string | undefined;
  readonly serverInfo?: { readonly name: string; readonly version: string } | undefined;
  readonly instructions?: string | undefined;
  /** Definitions as sent, unknown members included, so that a digest of them means what an agent would see. */
  readonly tools: readonly ToolDefinition[];
  readonly resources: readonly ResourceDefinition[];
  readonly prompts: readonly PromptDefinition[];
  /** Items left out of the lists: malformed, nested too deeply or listed twice. */
  readonly leftOut: number;
  /** Who answered; absent for stdio and where nobody did. */
  readonly peer?: Peer | undefined;
  /** From the first request to its answer. */
  readonly latencyMs: number;
  /** In our own words: what went wrong, or, with `ok`, what was left out of the lists. */
  readonly error?: string | undefined;
  /** The last lines that a stdio command wrote before it ended: from the upstream, masked, bounded. */
  readonly lastWords?: readonly string[] | undefined;
}

/** Bounds on what an upstream may make us hold. */
export interface ProbeLimits {
  readonly pagesMax: number;
  readonly itemsMax: number;
  /** Of one list item when nested. */
  readonly depthMax: number;
  /** All answers together. */
  readonly bytesMax: number;
}

// Ten times the largest servers known (some hundred tools, about 1 MB of definitions); as deep as the gateway passes on.
export const PROBE_LIMITS: ProbeLimits = { pagesMax: 100, itemsMax: 5000, depthMax: 256, bytesMax: 16 * 1024 * 1024 };
