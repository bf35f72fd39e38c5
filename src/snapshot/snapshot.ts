import type { Agent, Assignment } from "../domain/agent.ts";
import type { ApiKey } from "../domain/api-key.ts";
import type { Group, Member } from "../domain/member.ts";
import type { Organization } from "../domain/organization.ts";
import type { Server, ServerSecrets, ServerTool } from "../domain/server.ts";
import type { Skill, SkillVersion } from "../domain/skill.ts";
import type { GlobMatcher } from "../lib/glob.ts";
import type { PolicyIndex } from "../policy/policy-index.ts";

/** One server of an agent's assignment, compiled: what of it the agent may reach at most. */
export interface AssignmentView {
  readonly assignment: Assignment;
  readonly isToolAssigned: GlobMatcher;
  readonly isResourceAssigned: GlobMatcher;
  readonly isPromptAssigned: GlobMatcher;
}

export interface AgentView {
  readonly agent: Agent;
  readonly assignmentByServerId: ReadonlyMap<string, AssignmentView>;
  /** The versions that it is pinned to, by the skill's id. */
  readonly pinBySkillId: ReadonlyMap<string, SkillVersion>;
}

export interface ServerView {
  readonly server: Server;
  /** Those that it lists. */
  readonly toolByName: ReadonlyMap<string, ServerTool>;
  /** Those that it lists no more: nobody is shown them, but what comes back is compared with them. */
  readonly absentTools: readonly ServerTool[];
  /** Opened from the vault on first use and kept in memory with this view. */
  readonly secrets: () => ServerSecrets;
}

/** A skill with the version that agents get; undefined where none may serve. */
export interface SkillView {
  readonly skill: Skill;
  readonly serving: SkillVersion | undefined;
}

/**
 * Everything that a message is decided from, as of one committed revision. Immutable: a change makes a new snapshot that shares
 * what it did not touch. An object that is in no map does not exist.
 */
export interface Snapshot {
  readonly revision: number;
  /** Something was committed that is not in it, because it could not be read: nothing may be served from it. */
  readonly isBehind: boolean;
  readonly organization: Organization;
  readonly keyByHash: ReadonlyMap<string, ApiKey>;
  readonly keyById: ReadonlyMap<string, ApiKey>;
  readonly agentById: ReadonlyMap<string, AgentView>;
  readonly serverById: ReadonlyMap<string, ServerView>;
  readonly serverIdByName: ReadonlyMap<string, string>;
  readonly skillById: ReadonlyMap<string, SkillView>;
  readonly skillIdByName: ReadonlyMap<string, string>;
  readonly memberById: ReadonlyMap<string, Member>;
  readonly groupById: ReadonlyMap<string, Group>;
  /** Every policy, compiled. The same object until a policy changes. */
  readonly policies: PolicyIndex;
}
