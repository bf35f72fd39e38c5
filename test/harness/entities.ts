import { NEVER_USED } from "../../src/domain/key-use.ts";
import type { Agent } from "../../src/domain/agent.ts";
import type { ApiKey } from "../../src/domain/api-key.ts";
import type { Approval } from "../../src/domain/approval.ts";
import type { AuditEventDraft, UnplacedEvent } from "../../src/domain/audit-event.ts";
import type { Group, Member } from "../../src/domain/member.ts";
import { DEFAULT_SETTINGS, type Organization } from "../../src/domain/organization.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Server, ServerTool } from "../../src/domain/server.ts";
import type { Skill, SkillVersion } from "../../src/domain/skill.ts";
import { newId } from "../../src/lib/ids.ts";

/* Valid entities for tests; each takes what the test is about. Names and ids are fresh unless given. */

const AT = Date.UTC(2026, 0, 1);
let lastNumber = 0;

/** Names sort as they were made, whatever number the files before have reached in this process. */
function freshName(kind: string): string {
  lastNumber += 1;
  return `${kind}-${String(lastNumber).padStart(6, "0")}`;
}

export function anOrganization(given: Partial<Organization> = {}): Organization {
  return { id: newId(), name: "Acme", settings: DEFAULT_SETTINGS, version: 1, createdAt: AT, updatedAt: AT, ...given };
}

export function aMember(given: Partial<Member> = {}): Member {
  return {
    id: newId(),
    email: `${freshName("member")}@example.com`,
    name: "Ada Example",
    role: "member",
    status: "active",
    source: "local",
    groups: [],
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    ...given,
  };
}

export function aGroup(given: Partial<Group> = {}): Group {
  return { id: newId(), name: freshName("group"), createdAt: AT, ...given };
}

export function aServer(given: Partial<Server> = {}): Server {
  return {
    id: newId(),
    name: freshName("server"),
    description: null,
    transport: "streamable-http",
    url: "https://mcp.example.com/mcp",
    command: null,
    cwd: null,
    headerNames: ["X-Team"],
    envNames: [],
    sealedSecrets: "sealed",
    secretsVersion: 1,
    credential: { type: "bearer", rotatedAt: AT, hint: "1234", names: [], tokenUrl: null },
    groups: [],
    owner: null,
    status: "active",
    allowPrivateNetwork: false,
    shareable: true,
    protocolVersion: "2025-11-25",
    serverInfo: { name: "example", version: "1.0.0" },
    health: { state: "unknown", checkedAt: null, latencyMs: null, error: null },
    risk: "info",
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    ...given,
  };
}

export function aTool(given: Partial<ServerTool> = {}): ServerTool {
  const name = given.name ?? freshName("tool");
  return {
    serverId: newId(),
    name,
    digest: "d".repeat(64),
    definition: { name, inputSchema: { type: "object" }, annotations: { readOnlyHint: true } },
    state: "approved",
    pending: null,
    firstSeenAt: AT,
    lastSeenAt: AT,
    absentSince: null,
    ...given,
  };
}

export function anAgent(given: Partial<Agent> = {}): Agent {
  return {
    id: newId(),
    name: freshName("agent"),
    type: "claude-code",
    description: null,
    owner: null,
    status: "active",
    assignments: [],
    skills: null,
    groups: [],
    lastSeenAt: null,
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    ...given,
  };
}

export function aPolicy(given: Partial<Policy> = {}): Policy {
  return {
    id: newId(),
    name: freshName("policy"),
    description: null,
    effect: "deny",
    mode: "enforce",
    rule: { principals: { everyone: true }, resources: { everything: true } },
    cedar: "forbid (principal, action, resource);",
    ast: {
      effect: "forbid",
      principal: { op: "All" },
      action: { op: "All" },
      resource: { op: "All" },
      conditions: [],
    },
    mentions: [],
    audit: null,
    expiresAt: null,
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    ...given,
  };
}

export function anApproval(given: Partial<Approval> = {}): Approval {
  return {
    id: newId(),
    status: "pending",
    bindingHash: newId(),
    agent: { id: newId(), name: freshName("agent") },
    member: null,
    server: { id: newId(), name: freshName("server") },
    action: "call_tool",
    target: { type: "tool", name: "delete_file" },
    requester: null,
    toolDigest: "d".repeat(64),
    argumentsHash: "a".repeat(64),
    payload: { arguments: { path: "/x" } },
    policies: [{ id: newId(), name: freshName("policy") }],
    correlationId: newId(),
    requestedAt: AT,
    expiresAt: AT + 365 * 24 * 3_600_000,
    decision: null,
    usedAt: null,
    version: 1,
    ...given,
  };
}

export function aSkill(given: Partial<Skill> = {}): Skill {
  return {
    id: newId(),
    name: freshName("skill"),
    description: "Formats dates",
    risk: "none",
    latestVersion: 1,
    servingVersion: 1,
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    ...given,
  };
}

export function aSkillVersion(given: Partial<SkillVersion> = {}): SkillVersion {
  return {
    skillId: newId(),
    version: 1,
    digest: `sha256:${"d".repeat(64)}`,
    state: "approved",
    risk: "none",
    evidence: [],
    content: { description: "Formats dates", instructions: "Say the date.", servers: [], files: [] },
    createdBy: { type: "key", id: newId(), name: "root" },
    approvedBy: null,
    createdAt: AT,
    ...given,
  };
}

export function anApiKey(given: Partial<ApiKey> = {}): ApiKey {
  return {
    id: newId(),
    name: freshName("key"),
    kind: "organization",
    origin: "operation",
    hash: newId(),
    hint: "rl_org_…1234",
    description: null,
    role: "operator",
    agentId: null,
    memberId: null,
    allowedIps: [],
    createdBy: { type: "key", id: newId(), name: "root" },
    createdAt: AT,
    expiresAt: null,
    revoked: null,
    ...NEVER_USED,
    version: 1,
    ...given,
  };
}

export function aDraft(given: Partial<AuditEventDraft> = {}): AuditEventDraft {
  return {
    id: newId(),
    time: AT,
    actor: { type: "agent", id: newId(), name: "builder" },
    action: "tool.call",
    resource: { type: "tool", id: newId(), name: "github/create_issue" },
    outcome: "success",
    correlationId: newId(),
    details: { tool: "create_issue" },
    ...given,
  };
}

/** The event as a journal hands it over. */
export function toUnplaced(draft: AuditEventDraft): UnplacedEvent {
  return { id: draft.id, draft: JSON.stringify(draft) };
}
