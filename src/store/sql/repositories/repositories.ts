import type { Repositories } from "../../ports.ts";
import { SqlAgentRepository } from "./agent-repository.ts";
import { SqlApprovalRepository } from "./approval-repository.ts";
import { SqlApiKeyRepository } from "./api-key-repository.ts";
import { SqlDecisionRepository } from "./decision-repository.ts";
import { SqlAuditRepository } from "./audit-repository.ts";
import type { RepositoryContext } from "./context.ts";
import { SqlDeviceRepository } from "./device-repository.ts";
import { SqlFindingRepository } from "./finding-repository.ts";
import { SqlGroupRepository } from "./group-repository.ts";
import { SqlIdempotencyRepository } from "./idempotency-repository.ts";
import { SqlMemberRepository } from "./member-repository.ts";
import { SqlOrganizationRepository } from "./organization-repository.ts";
import { SqlPolicyRepository } from "./policy-repository.ts";
import { SqlScanRepository } from "./scan-repository.ts";
import { SqlSealedRecordRepository } from "./sealed-record-repository.ts";
import { SqlServerRepository } from "./server-repository.ts";
import { SqlSkillRepository } from "./skill-repository.ts";
import { SqlValueRepository } from "./value-repository.ts";

/** All repositories on one transaction; they MUST NOT be used after it. */
export function createRepositories(context: RepositoryContext): Repositories {
  return {
    organization: new SqlOrganizationRepository(context),
    members: new SqlMemberRepository(context),
    groups: new SqlGroupRepository(context),
    servers: new SqlServerRepository(context),
    agents: new SqlAgentRepository(context),
    approvals: new SqlApprovalRepository(context),
    policies: new SqlPolicyRepository(context),
    skills: new SqlSkillRepository(context),
    apiKeys: new SqlApiKeyRepository(context),
    audit: new SqlAuditRepository(context),
    decisions: new SqlDecisionRepository(context),
    idempotency: new SqlIdempotencyRepository(context),
    sealedRecords: new SqlSealedRecordRepository(context),
    scans: new SqlScanRepository(context),
    findings: new SqlFindingRepository(context),
    devices: new SqlDeviceRepository(context),
    values: new SqlValueRepository(context),
  };
}
