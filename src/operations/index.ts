import { createAgent } from "./agents/create-agent.ts";
import { deleteAgent } from "./agents/delete-agent.ts";
import { getAgent } from "./agents/get-agent.ts";
import { listAgents } from "./agents/list-agents.ts";
import { updateAgent } from "./agents/update-agent.ts";
import { createApiKey } from "./api-keys/create-api-key.ts";
import { listApiKeys } from "./api-keys/list-api-keys.ts";
import { revokeApiKey } from "./api-keys/revoke-api-key.ts";
import { decideApproval } from "./approvals/decide-approval.ts";
import { listApprovals } from "./approvals/list-approvals.ts";
import { getAuditLogs } from "./audit/get-audit-logs.ts";
import type { Operation } from "./define-operation.ts";
import { applyConfiguration } from "./configuration/apply-configuration.ts";
import { inviteMember } from "./members/invite-member.ts";
import { listGroups } from "./members/list-groups.ts";
import { listMembers } from "./members/list-members.ts";
import { updateMember } from "./members/update-member.ts";
import { getOrganization } from "./organization/get-organization.ts";
import { updateOrganization } from "./organization/update-organization.ts";
import { createPolicy } from "./policies/create-policy.ts";
import { deletePolicy } from "./policies/delete-policy.ts";
import { explainAccess } from "./policies/explain-access.ts";
import { getPolicy } from "./policies/get-policy.ts";
import { listAccess } from "./policies/list-access.ts";
import { listPolicies } from "./policies/list-policies.ts";
import { simulatePolicy } from "./policies/simulate-policy.ts";
import { updatePolicy } from "./policies/update-policy.ts";
import { createSkill } from "./skills/create-skill.ts";
import { deleteSkill } from "./skills/delete-skill.ts";
import { getSkill } from "./skills/get-skill.ts";
import { listSkills } from "./skills/list-skills.ts";
import { runSkill } from "./skills/run-skill.ts";
import { updateSkill } from "./skills/update-skill.ts";
import { createMcpServer } from "./servers/create-mcp-server.ts";
import { deleteMcpServer } from "./servers/delete-mcp-server.ts";
import { getMcpServer } from "./servers/get-mcp-server.ts";
import { listMcpServers } from "./servers/list-mcp-servers.ts";
import { updateMcpServer } from "./servers/update-mcp-server.ts";
import { enrollDevice } from "./sweep/enroll-device.ts";
import { endSession } from "./sessions/end-session.ts";
import { listSessions } from "./sessions/list-sessions.ts";
import { getScanResults } from "./sweep/get-scan-results.ts";
import { listDevices } from "./sweep/list-devices.ts";
import { runMcpSweepScan } from "./sweep/run-mcp-sweep-scan.ts";
import { submitDeviceReport } from "./sweep/submit-device-report.ts";
import { updateFinding } from "./sweep/update-finding.ts";

/** Every operation: those of the contract's section 3 in its order, then the others. A line here puts it on all faces: MCP, REST, OpenAPI and CLI. */
export const OPERATIONS: readonly Operation[] = [
  getOrganization,
  listMembers,
  createMcpServer,
  listMcpServers,
  getMcpServer,
  updateMcpServer,
  deleteMcpServer,
  createAgent,
  listAgents,
  getAgent,
  updateAgent,
  deleteAgent,
  createPolicy,
  listPolicies,
  updatePolicy,
  deletePolicy,
  createApiKey,
  listApiKeys,
  revokeApiKey,
  createSkill,
  listSkills,
  getSkill,
  updateSkill,
  deleteSkill,
  getAuditLogs,
  runMcpSweepScan,
  getScanResults,
  getPolicy,
  simulatePolicy,
  explainAccess,
  listAccess,
  listSessions,
  endSession,
  listApprovals,
  decideApproval,
  updateFinding,
  listDevices,
  enrollDevice,
  submitDeviceReport,
  inviteMember,
  updateMember,
  listGroups,
  updateOrganization,
  runSkill,
  applyConfiguration,
];
