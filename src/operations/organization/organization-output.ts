import { z } from "zod";
import {
  AUDIT_DURABILITIES,
  AUDIT_PAYLOADS,
  type Organization,
  SKILL_APPROVALS,
  SKILL_RISK_ACTIONS,
} from "../../domain/organization.ts";
import { toRfc3339 } from "../../lib/clock.ts";

import { NotificationsOutput } from "./notification-fields.ts";

export const OrganizationOutput = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.string(),
  version: z.int(),
  settings: z.object({
    auditPayloads: z.enum(AUDIT_PAYLOADS),
    auditDurability: z.enum(AUDIT_DURABILITIES),
    approvalTtlMinutes: z.int(),
    assignmentGrantsAccess: z.boolean(),
    timeZone: z.string(),
    skillRiskAction: z.object({ critical: z.enum(SKILL_RISK_ACTIONS), high: z.enum(SKILL_RISK_ACTIONS) }),
    skillApproval: z.enum(SKILL_APPROVALS),
    notifications: NotificationsOutput,
  }),
});

export function showOrganization(organization: Organization): z.output<typeof OrganizationOutput> {
  const { id, name, version, settings, createdAt } = organization;
  const { notifications, ...rest } = settings;
  const shown = notifications === null ? null : { ...notifications, events: [...notifications.events] };
  return { id, name, version, settings: { ...rest, notifications: shown }, createdAt: toRfc3339(createdAt) };
}
