export const AGENT_STATUSES = ["active", "suspended"] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

/** Where an agent may go at most. A list that is null allows all of its kind, an empty one none; entries are globs. */
export interface Assignment {
  readonly serverId: string;
  readonly tools: readonly string[] | null;
  readonly resources: readonly string[] | null;
  readonly prompts: readonly string[] | null;
}

/** A skill that an agent may use: at one version for good, or (null) at the one that serves. */
export interface AgentSkill {
  readonly id: string;
  readonly version: number | null;
}

/** A registered AI client: the principal of every message on the gateway. */
export interface Agent {
  readonly id: string;
  readonly name: string;
  /** One of the known client types or any slug for a custom integration. */
  readonly type: string;
  readonly description: string | null;
  /** Id of the member who answers for it. */
  readonly owner: string | null;
  readonly status: AgentStatus;
  readonly assignments: readonly Assignment[];
  /** The only skills that it may use; null leaves it all that its servers allow. */
  readonly skills: readonly AgentSkill[] | null;
  readonly groups: readonly string[];
  readonly lastSeenAt: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}
