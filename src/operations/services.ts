import type { Actor } from "../domain/audit-event.ts";
import type { KeyKind } from "../domain/api-key.ts";
import type { KeyUse } from "../domain/key-use.ts";
import type { Credential, ServerSecrets, ToolDefinition, Transport } from "../domain/server.ts";
import type { Peer } from "../lib/egress/peer-book.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { Clock } from "../lib/clock.ts";
import type { DeviceReportRequests, ScanSlot, SweepHost } from "./sweep/ports.ts";
import type { Skill, SkillVersion } from "../domain/skill.ts";
import type { Vault } from "../vault/vault.ts";

/** What operations need of the rest of the program, wired by the composition root. */
export interface Services {
  readonly vault: Vault;
  readonly probe: UpstreamProbe;
  readonly keys: KeyFactory;
  readonly sessions: LiveSessions;
  readonly sweepHost: SweepHost;
  readonly scanSlot: ScanSlot;
  readonly deviceReports: DeviceReportRequests;
  readonly clock: Clock;
  /** Base URL under which clients reach this installation, without a trailing slash. */
  readonly publicUrl: string;
  readonly isStdioAllowed: boolean;
  /** How stdio servers are kept apart from the gateway; `refused`: this node does not start any, `off`: nobody wants it to. */
  readonly stdioIsolation: "user" | "bubblewrap" | "none" | "refused" | "off";
  /** Everything that messages are decided from, as of now. */
  snapshot(): Snapshot;
  /** Runs a version of a skill now, decided as the agent's own run, and records it. */
  runSkill(run: SkillTrial): Promise<SkillTrialResult>;
  newId(): string;
  /** Resolves when everything that was recorded before is visible to queries. */
  flushAudit(): Promise<void>;
  /** Uses of a key that are counted in memory and not yet in its row. */
  pendingKeyUse(keyId: string): KeyUse | undefined;
  /** Counts a call that was refused to a key. */
  noteKeyDenied(keyId: string): void;
}

/** A run of a skill that an administrator asks for. */
export interface SkillTrial {
  readonly skill: Skill;
  readonly version: SkillVersion;
  readonly input: unknown;
  /** Undefined: as nobody, and calls of tools are refused. */
  readonly agentId: string | undefined;
  readonly actor: Actor;
  readonly correlationId: string;
  readonly signal: AbortSignal;
  /** Executes the function and sends no calls. */
  readonly isDryRun: boolean;
}

interface TrialFacts {
  /** That finds the run and its calls in the audit log. */
  readonly correlationId: string;
  readonly usage: { readonly durationMs: number; readonly cpuMs: number; readonly calls: number };
  readonly logs: readonly string[];
}

interface TrialFailure {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Written by the skill. */
  readonly stack?: readonly string[] | undefined;
}

export type SkillTrialResult = TrialFacts &
  (
    | { readonly status: "completed"; readonly output: unknown }
    | { readonly status: "failed"; readonly error: TrialFailure }
    | { readonly status: "held"; readonly approvalId: string | undefined; readonly error: TrialFailure }
  );

export interface KeyFactory {
  /** A new key and what is stored of it. */
  create(kind: KeyKind): { readonly secret: string; readonly hash: string; readonly hint: string };
}

/** The agents' sessions on this node. */
export interface LiveSessions {
  countByServer(serverId: string): number;
  countByAgent(agentId: string): number;
  countByKey(keyId: string): number;
  list(): readonly LiveSession[];
  /** Ends it at once; its client has to begin a new one. False where there is none any more. */
  end(id: string): boolean;
}

export interface LiveSession {
  readonly id: string;
  readonly agentId: string;
  readonly keyId: string;
  /** Undefined for a session with all of the agent's servers. */
  readonly serverId: string | undefined;
  /** What the client says that it is. */
  readonly client: string | undefined;
  readonly openedAt: number;
  readonly lastSeenAt: number;
}

/** An endpoint to contact. Everything in clear: the target MUST NOT be logged. */
export interface ProbeTarget extends ServerSecrets {
  readonly transport: Transport;
  readonly url: string | null;
  readonly command: string | null;
  readonly cwd: string | null;
  readonly allowPrivateNetwork: boolean;
}

/** Names and texts in here come from the upstream: never trust, bound and escape before showing. */
export interface Discovery {
  readonly state: "ok" | "unreachable" | "unauthorized" | "not_mcp" | "not_contacted";
  readonly protocolVersion?: string | undefined;
  readonly serverInfo?: { readonly name: string; readonly version: string } | undefined;
  readonly instructions?: string | undefined;
  readonly tools: readonly ToolDefinition[];
  readonly resources: readonly { readonly uri: string; readonly [member: string]: unknown }[];
  readonly prompts: readonly { readonly name: string }[];
  /** Items left out of the lists, because they could not be read or were listed twice. */
  readonly leftOut?: number | undefined;
  /** Who answered; absent for stdio and where nobody did. */
  readonly peer?: Peer | undefined;
  readonly latencyMs?: number | undefined;
  readonly error?: string | undefined;
}

export interface UpstreamProbe {
  /** Contacts an endpoint and lists what it offers. Never throws for what the endpoint does; see `state`. */
  discover(target: ProbeTarget, options: ProbeOptions): Promise<Discovery>;
  /** Whether the endpoint accepts the credential. `not_challenged`: it also answers without one. */
  verifyCredential(
    target: ProbeTarget & { readonly credential: Credential },
    options: ProbeOptions,
  ): Promise<{ readonly verified: true | "not_challenged" } | { readonly verified: false; readonly error: string }>;
  /** Throws `invalid_input` for an address that this installation never connects to; `field` is named in it, `url` if absent. */
  checkAddress(url: string, options: AddressRules): Promise<void>;
}

export interface AddressRules {
  readonly allowPrivateNetwork: boolean;
  readonly field?: string | undefined;
}

export interface ProbeOptions {
  readonly timeoutMs: number;
  /** Of the server, for the log. */
  readonly name?: string | undefined;
  readonly signal: AbortSignal;
}
