import type { ApprovalTable } from "./approval-table.ts";
import type { ColumnType, Generated } from "kysely";
import type { SweepTables } from "./sweep-tables.ts";
import type { SkillTables } from "./skill-tables.ts";

/*
 * The tables as the queries see them; on disk the names are snake_case. Times are milliseconds, truth values 0 or 1, and what is
 * not a scalar is JSON text, so that SQLite and PostgreSQL need no dialect of their own.
 */

/** Text that holds JSON. */
type JsonText = string;

export interface OrganizationTable {
  readonly id: string;
  readonly name: string;
  readonly settings: JsonText;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface MemberTable {
  readonly id: string;
  readonly email: string;
  /** The email in lower case: what is unique and what refs are compared with. */
  readonly emailKey: string;
  readonly name: string;
  readonly role: string;
  readonly status: string;
  readonly source: string;
  readonly groups: JsonText;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface GroupTable {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}

export interface ServerTable {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly transport: string;
  readonly url: string | null;
  readonly command: string | null;
  readonly cwd: string | null;
  readonly headerNames: JsonText;
  readonly envNames: JsonText;
  readonly sealedSecrets: string;
  readonly secretsVersion: number;
  readonly risk: string;
  readonly credential: JsonText;
  readonly groups: JsonText;
  readonly owner: string | null;
  readonly status: string;
  readonly allowPrivateNetwork: number;
  readonly shareable: number;
  readonly protocolVersion: string | null;
  readonly serverInfo: JsonText | null;
  readonly healthState: string;
  readonly healthCheckedAt: number | null;
  readonly healthLatencyMs: number | null;
  readonly healthError: string | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ServerToolTable {
  readonly serverId: string;
  readonly name: string;
  readonly digest: string;
  readonly definition: JsonText;
  readonly state: string;
  readonly pending: JsonText | null;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  readonly absentSince: number | null;
}

export interface ServerHealthTable {
  readonly position: Generated<number>;
  readonly serverId: string;
  readonly state: string;
  readonly checkedAt: number | null;
  readonly latencyMs: number | null;
  readonly error: string | null;
}

interface ServerPeerTable {
  readonly serverId: string;
  readonly peer: JsonText;
}

export interface AgentTable {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly description: string | null;
  readonly owner: string | null;
  readonly status: string;
  readonly groups: JsonText;
  readonly skills: JsonText | null;
  readonly lastSeenAt: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface AssignmentTable {
  readonly agentId: string;
  readonly serverId: string;
  /** Place in the agent's list: the server assigned first keeps its plain tool names. */
  readonly place: number;
  readonly tools: JsonText | null;
  readonly resources: JsonText | null;
  readonly prompts: JsonText | null;
}

export interface ApiKeyTable {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly origin: string;
  readonly hash: string;
  readonly hint: string;
  readonly description: string | null;
  readonly role: string | null;
  readonly agentId: string | null;
  readonly memberId: string | null;
  readonly allowedIps: JsonText;
  readonly createdBy: JsonText;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly revokedReason: string | null;
  readonly lastUsedAt: number | null;
  readonly lastUsedIp: string | null;
  readonly useCount: number;
  /** Null where an older program wrote the row. */
  readonly useHistory: JsonText | null;
  readonly version: number;
}

export interface AuditStagingTable {
  readonly position: Generated<number>;
  readonly draft: JsonText;
}

export interface AuditDecisionTable {
  readonly id: string;
  readonly draft: JsonText;
}

/**
 * Each fact of an event is in one column only, so that a changed column always breaks the leaf hash. `serverId` and `agentId`
 * are derived from the event for its filters.
 */
export interface AuditEventTable {
  readonly seq: number;
  readonly id: string;
  readonly time: number;
  readonly actorType: string;
  readonly actorId: string;
  readonly actorName: string;
  /** `onBehalfOf`, `ip` and `client`. */
  readonly actorContext: JsonText | null;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly resourceName: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly policies: JsonText | null;
  readonly correlationId: string;
  readonly sessionId: string | null;
  readonly durationMs: number | null;
  readonly details: JsonText;
  readonly leafHash: string;
  readonly serverId: string | null;
  readonly agentId: string | null;
}

export interface IdempotencyTable {
  readonly callerId: string;
  readonly key: string;
  readonly operation: string;
  readonly inputHash: string;
  readonly answer: JsonText;
  readonly expiresAt: number;
}

export interface InstallationValueTable {
  readonly name: string;
  readonly value: string;
}

export interface PolicyTable {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly effect: string;
  readonly mode: string;
  readonly rule: JsonText | null;
  readonly cedar: string;
  readonly ast: JsonText;
  readonly mentions: JsonText;
  readonly audit: string | null;
  readonly expiresAt: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Sums over recorded events, written in the transaction that appends them: they can be neither lost nor counted twice. */
export interface PolicyCountTable {
  readonly policyId: string;
  /** What is summed up: `hour`, `resource` or `agent`. */
  readonly dimension: string;
  /** The hour in milliseconds as text, or the id of the resource or agent. */
  readonly key: string;
  readonly name: string;
  readonly matches: number;
  readonly violations: number;
  readonly lastAt: number;
  readonly lastViolationAt: number | null;
}

interface SchemaMigrationTable {
  readonly version: ColumnType<number, number, never>;
  readonly appliedAt: number;
}

export interface Database extends SweepTables, SkillTables {
  readonly organizations: OrganizationTable;
  readonly members: MemberTable;
  readonly groups: GroupTable;
  readonly servers: ServerTable;
  readonly serverTools: ServerToolTable;
  readonly serverHealth: ServerHealthTable;
  readonly serverPeers: ServerPeerTable;
  readonly agents: AgentTable;
  readonly agentAssignments: AssignmentTable;
  readonly apiKeys: ApiKeyTable;
  readonly auditStaging: AuditStagingTable;
  readonly auditDecisions: AuditDecisionTable;
  readonly auditEvents: AuditEventTable;
  readonly policies: PolicyTable;
  readonly policyCounts: PolicyCountTable;
  readonly approvals: ApprovalTable;
  readonly idempotency: IdempotencyTable;
  readonly installationValues: InstallationValueTable;
  readonly schemaMigrations: SchemaMigrationTable;
}
