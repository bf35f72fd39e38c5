/** Text that holds JSON. */
type JsonText = string;

export interface SkillTable {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly risk: string;
  readonly latestVersion: number;
  readonly servingVersion: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface SkillVersionTable {
  readonly skillId: string;
  readonly version: number;
  readonly digest: string;
  readonly state: string;
  readonly risk: string;
  readonly evidence: JsonText;
  readonly content: JsonText;
  readonly createdBy: JsonText;
  readonly approvedBy: JsonText | null;
  readonly createdAt: number;
}

/** Servers that a version needs. No foreign key: a skill remembers a server that is gone. */
interface SkillServerTable {
  readonly skillId: string;
  readonly version: number;
  readonly serverId: string;
}

/** One row for each audited run that was not refused. */
export interface SkillRunTable {
  readonly eventId: string;
  readonly skillId: string;
  readonly agentId: string | null;
  readonly agentName: string | null;
  readonly time: number;
  readonly isFailure: number;
  readonly durationMs: number | null;
}

/** The tables of skills, as the queries see them. */
export interface SkillTables {
  readonly skills: SkillTable;
  readonly skillVersions: SkillVersionTable;
  readonly skillServers: SkillServerTable;
  readonly skillRuns: SkillRunTable;
}
