import type { Agent, AgentStatus } from "../domain/agent.ts";
import type { ApiKey, KeyKind, KeyStatus } from "../domain/api-key.ts";
import type { AuditEventDraft, Outcome } from "../domain/audit-event.ts";
import type { KeyUse } from "../domain/key-use.ts";
import type { Group, Member, MemberStatus } from "../domain/member.ts";
import type { Ref } from "../domain/names.ts";
import type { Organization } from "../domain/organization.ts";
import type { Role } from "../domain/role.ts";
import type {
  HealthState,
  Server,
  ServerHealth,
  ServerStatus,
  ServerTool,
  Severity,
  Transport,
} from "../domain/server.ts";
import type { Peer } from "../lib/egress/peer-book.ts";
import type { Page, PageRequest } from "../lib/paging.ts";
import type { ApprovalRepository } from "./approval-port.ts";
import type { AuditRepository } from "./audit-ports.ts";
import type { PolicyRepository } from "./policy-ports.ts";
import type { SkillRepository } from "./skill-ports.ts";

export type { AuditFilter, AuditGroup, AuditRepository, RecordedToolCall } from "./audit-ports.ts";
export type { PolicyCounts, PolicyFilter } from "./policy-ports.ts";
import type { DeviceRepository, FindingRepository, ScanRepository } from "./sweep-ports.ts";

/*
 * What the rest of the program asks of a database, one narrow port per aggregate. Rules for every implementation:
 * - `get` throws `not_found` and names the ref; `find` gives undefined.
 * - `insert` throws `conflict` for a duplicate name. Names compare exactly (they are ASCII).
 * - `save` stores an entity whose `version` is one above the stored one and throws `conflict` otherwise.
 * - lists are ordered by id (UUIDv7: time of creation), the page key is the id; rows added while paging never shift a page.
 */

/**
 * A row that a transaction touched. Marks that no decision rests on (last seen, key use) are not reported. After the commit the live view reloads these and nothing else. */
export interface Change {
  readonly kind:
    | "organization"
    | "member"
    | "group"
    | "server"
    | "agent"
    | "apiKey"
    | "policy"
    | "skill"
    | "approval"
    | "auditEvent"
    /** One that found something new. */
    | "scan";
  readonly id: string;
}

export interface Repositories {
  readonly organization: OrganizationRepository;
  readonly members: MemberRepository;
  readonly groups: GroupRepository;
  readonly servers: ServerRepository;
  readonly agents: AgentRepository;
  readonly policies: PolicyRepository;
  readonly approvals: ApprovalRepository;
  readonly skills: SkillRepository;
  readonly apiKeys: ApiKeyRepository;
  readonly audit: AuditRepository;
  readonly decisions: DecisionRepository;
  readonly idempotency: IdempotencyRepository;
  readonly sealedRecords: SealedRecordRepository;
  readonly scans: ScanRepository;
  readonly findings: FindingRepository;
  readonly devices: DeviceRepository;
  readonly values: ValueRepository;
}

/** A database with a lifetime. Both SQLite and PostgreSQL pass the same conformance suite. */
export interface Store {
  readonly dialect: "sqlite" | "postgres";
  /** A consistent read of what the program itself has to know: short, and never behind what callers read. MUST NOT write. */
  read<T>(work: (repositories: Repositories) => Promise<T>): Promise<T>;
  /**
   * As `read`, for what a caller asked for and may take long. Few run at a time; who waits too long, or finds too many before it,
   * gets `unavailable`. When `signal` aborts, it ends with `timeout` before its next statement.
   */
  readForCaller<T>(work: (repositories: Repositories) => Promise<T>, signal: AbortSignal): Promise<T>;
  /**
   * Runs `work` in one serialized write transaction; commits when it resolves, rolls back when it throws. Resolves only after
   * every `onCommitted` listener has, so that the live view is current before an operation answers. Keep outbound calls outside.
   * With the turn `next` it is what agents wait for: every other turn is of those, however many others wait.
   */
  transaction<T>(work: (repositories: Repositories) => Promise<T>, turn?: "next"): Promise<T>;
  /**
   * Hears of every later commit. Listeners run in order, after the commit, one transaction at a time, and MUST
   * NOT start a transaction themselves. When one fails, `transaction` rejects although its changes are committed. They hear of a
   * commit that failed too: only its answer may be lost, so that what they read then is what counts.
   */
  onCommitted(listener: (changes: readonly Change[]) => Promise<void>): void;
  /** Whether the database answers; rejects with `unavailable` when it does not. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface OrganizationRepository {
  get(): Promise<Organization>;
  find(): Promise<Organization | undefined>;
  insert(organization: Organization): Promise<void>;
  save(organization: Organization): Promise<void>;
}

export interface MemberFilter {
  readonly role?: Role | undefined;
  readonly status?: MemberStatus | undefined;
  readonly groupId?: string | undefined;
  readonly query?: string | undefined;
}

export interface MemberRepository {
  /** By id or email (compared in lower case). */
  get(ref: Ref): Promise<Member>;
  find(ref: Ref): Promise<Member | undefined>;
  list(filter: MemberFilter, page: PageRequest): Promise<Page<Member>>;
  insert(member: Member): Promise<void>;
  save(member: Member): Promise<void>;
}

export interface GroupRepository {
  find(ref: Ref): Promise<Group | undefined>;
  /** The groups of these ids, in any order; unknown ids are left out. */
  byIds(ids: readonly string[]): Promise<readonly Group[]>;
  list(query: string | undefined, page: PageRequest): Promise<Page<Group>>;
  insert(group: Group): Promise<void>;
}

export interface ServerFilter {
  readonly status?: ServerStatus | undefined;
  readonly health?: HealthState | undefined;
  readonly transport?: Transport | undefined;
  readonly risk?: Severity | undefined;
  readonly groupId?: string | undefined;
  /** Servers that this agent is assigned to. */
  readonly agentId?: string | undefined;
  readonly ids?: readonly string[] | undefined;
  /** Part of the name or description, case-insensitive for ASCII; `%` and `_` are ordinary characters. */
  readonly query?: string | undefined;
}

export interface ServerRepository {
  get(ref: Ref): Promise<Server>;
  find(ref: Ref): Promise<Server | undefined>;
  list(filter: ServerFilter, page: PageRequest): Promise<Page<Server>>;
  countByStatus(): Promise<Readonly<Record<ServerStatus, number>>>;
  insert(server: Server): Promise<void>;
  save(server: Server): Promise<void>;
  /** Also removes its tools, its health and its assignments; agents that lose one are reported as changed. */
  delete(id: string): Promise<void>;
  /** Observed, not managed: does not raise the version. Keeps a bounded history per server. */
  saveHealth(id: string, health: ServerHealth): Promise<void>;
  /** The newest first. */
  healthHistory(id: string, limit: number): Promise<readonly ServerHealth[]>;
  /** Who answered at their addresses when that was last accepted, by server; those that nobody contacted are left out. */
  peers(serverIds: readonly string[]): Promise<ReadonlyMap<string, Peer>>;
  savePeer(serverId: string, peer: Peer): Promise<void>;
  /** Those that it lists. */
  tools(serverId: string): Promise<readonly ServerTool[]>;
  /** Also those that it lists no more: what `saveTools` takes. */
  knownTools(serverId: string): Promise<readonly ServerTool[]>;
  /** Of those that are listed. */
  toolCounts(serverIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * Replaces the stored tools of a server, so that absent ones MUST be among them; sets its risk to the highest of those that
   * it lists; does not raise the version.
   */
  saveTools(serverId: string, tools: readonly ServerTool[]): Promise<void>;
}

export interface AgentFilter {
  readonly type?: string | undefined;
  readonly status?: AgentStatus | undefined;
  readonly serverId?: string | undefined;
  readonly groupId?: string | undefined;
  readonly owner?: string | undefined;
  readonly compliance?: ComplianceFilter | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly query?: string | undefined;
}

/** `violating`: violated a policy since `violatedSince`; `unused`: else, and not seen since `seenSince`; `compliant`: the rest. */
export interface ComplianceFilter {
  readonly state: "compliant" | "violating" | "unused";
  readonly violatedSince: number;
  readonly seenSince: number;
}

export interface AgentRepository {
  get(ref: Ref): Promise<Agent>;
  find(ref: Ref): Promise<Agent | undefined>;
  list(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>>;
  countByStatus(): Promise<Readonly<Record<AgentStatus, number>>>;
  /** How many agents are assigned to each of these servers. */
  countByServer(serverIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  countByOwner(memberIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  insert(agent: Agent): Promise<void>;
  save(agent: Agent): Promise<void>;
  delete(id: string): Promise<void>;
  /** Observed, not managed: does not raise the version. */
  touch(id: string, lastSeenAt: number): Promise<void>;
}

export interface ApiKeyFilter {
  readonly status?: KeyStatus | undefined;
  readonly role?: Role | undefined;
  readonly kind?: KeyKind | undefined;
  readonly agentId?: string | undefined;
  readonly memberId?: string | undefined;
  /** Not used since this time (never used counts from its creation). */
  readonly unusedSince?: number | undefined;
  readonly query?: string | undefined;
  /** The time that decides `status`. */
  readonly now: number;
}

export interface ApiKeyRepository {
  get(ref: Ref): Promise<ApiKey>;
  find(ref: Ref): Promise<ApiKey | undefined>;
  findByHash(hash: string): Promise<ApiKey | undefined>;
  list(filter: ApiKeyFilter, page: PageRequest): Promise<Page<ApiKey>>;
  /** Active keys of the agent. */
  activeOfAgent(agentId: string, now: number): Promise<readonly ApiKey[]>;
  countByMember(memberIds: readonly string[], now: number): Promise<ReadonlyMap<string, number>>;
  /** When each of these members last used a key, of any status; those who never did are left out. */
  lastUsedByMember(memberIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  counts(now: number): Promise<{ readonly active: number; readonly unused: number; readonly revoked: number }>;
  insert(key: ApiKey): Promise<void>;
  save(key: ApiKey): Promise<void>;
  /** Observed, not managed: does not raise the version. At most one use of each key; unknown keys are left out. */
  recordUse(uses: readonly KeyUse[]): Promise<void>;
}

/** What the gateway recorded and the log does not have yet: a decision without its outcome, or a whole event. */
export type HeldDecision = Omit<AuditEventDraft, "outcome"> & { readonly outcome?: Outcome | undefined };

/** Where decisions are durable while their messages are on the way, on a database that nodes share. */
export interface DecisionRepository {
  /** One that is held already stays as it is. */
  hold(decisions: readonly HeldDecision[]): Promise<void>;
  /** In the order of their ids, behind `after`. */
  held(page: PageRequest): Promise<readonly HeldDecision[]>;
  /** Gives the ids of those that were held. */
  release(ids: readonly string[]): Promise<readonly string[]>;
}

export interface IdempotentAnswer {
  readonly callerId: string;
  readonly key: string;
  readonly operation: string;
  /** SHA-256 of the canonical input, hex. */
  readonly inputHash: string;
  /** The answer without its secrets. */
  readonly answer: unknown;
  readonly expiresAt: number;
}

export interface IdempotencyRepository {
  find(callerId: string, key: string, now: number): Promise<IdempotentAnswer | undefined>;
  /** Also drops what has expired. */
  insert(answer: IdempotentAnswer, now: number): Promise<void>;
  /** Does nothing where the key is not kept any more. */
  replaceAnswer(callerId: string, key: string, answer: unknown): Promise<void>;
}

/** Everything that the vault sealed, across all tables. */
export interface SealedRecordRepository {
  /** Replaces each sealed record by what `rewrap` makes of it; gives how many there are. */
  rewrap(rewrap: (sealed: string) => string): Promise<number>;
}

/** Single values of the installation itself: the pepper, the audit journal's mark. A sealed one is named `sealed.…`; never a secret in clear. */
export interface ValueRepository {
  find(name: string): Promise<string | undefined>;
  set(name: string, value: string): Promise<void>;
}
