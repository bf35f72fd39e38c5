import { z } from "zod";
import { isTimeZone } from "../../policy/local-time-in.ts";
import { AUDIT_DURABILITIES, AUDIT_PAYLOADS, SKILL_APPROVALS, SKILL_RISK_ACTIONS } from "../../domain/organization.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, text } from "../fields.ts";
import { requireVersion } from "../require-version.ts";
import { NotificationsField, storeNotifications } from "./notification-fields.ts";
import { OrganizationOutput, showOrganization } from "./organization-output.ts";

const Input = z.object({
  name: text(200).min(1).optional().describe("Shown to people"),
  auditPayloads: z
    .enum(AUDIT_PAYLOADS)
    .optional()
    .describe(
      "Arguments in audit events: `none`, `digest`, `redacted` (secrets masked, long values cut) or `full` (secrets masked)",
    ),
  auditDurability: z
    .enum(AUDIT_DURABILITIES)
    .optional()
    .describe(
      "A decision is on disk `before-dispatch` to the upstream, or `before-answer` to the agent: faster, but a crash can leave a call that was sent and not answered without its event",
    ),
  approvalTtlMinutes: z
    .int()
    .min(1)
    .max(7 * 24 * 60)
    .optional()
    .describe("Minutes that a held call waits for a decision, and that an approval waits for its call"),
  assignmentGrantsAccess: z
    .boolean()
    .optional()
    .describe("Whether an assignment alone lets calls through; off, an `allow` policy must match too"),
  timeZone: z
    .string()
    .max(64)
    .refine(isTimeZone, "must be an IANA time zone such as `Europe/Berlin`")
    .optional()
    .describe("Zone in which policies read the time and the weekday"),
  skillRiskAction: z
    .strictObject({
      critical: z.enum(SKILL_RISK_ACTIONS).optional(),
      high: z.enum(SKILL_RISK_ACTIONS).optional(),
    })
    .optional()
    .describe("What happens to a skill version by the risk of its scan: `block` or `allow`; lower risks never block"),
  skillApproval: z
    .enum(SKILL_APPROVALS)
    .optional()
    .describe("`required`: a skill version by an operator that adds code, servers or tools waits for security"),
  notifications: NotificationsField,
  expectedVersion: ExpectedVersionField,
});

type Input = z.output<typeof Input>;

/** Changes the name and the settings of the organization. */
export const updateOrganization = defineOperation({
  name: "update_organization",
  title: "Update organization",
  description:
    "Changes the organization's name and settings: how much of a call's arguments the audit log keeps, when a decision must be on disk, whether assignment alone grants access, the time zone of policies, and which skill versions are blocked or wait for approval. Returns the organization.",
  route: "PATCH /organization",
  command: "organization update",
  roles: ["owner", "admin"],
  effect: "write",
  action: "organization.update",
  input: Input,
  output: z.object({ organization: OrganizationOutput }),
  async prepare(input, { services }) {
    const { notifications } = input;
    if (notifications !== undefined && notifications !== null)
      await services.probe.checkAddress(notifications.url, {
        allowPrivateNetwork: notifications.allowPrivateNetwork ?? false,
        field: "notifications.url",
      });
    return (context) => store(input, context);
  },
  event: ({ organization }, input) => ({
    resource: { type: "organization", id: organization.id, name: organization.name },
    details: {
      changed: Object.keys(input).filter((field) => field !== "expectedVersion"),
      settings: organization.settings,
    },
  }),
  summarize: ({ organization }) => `Organization \`${organization.id}\` is at version ${organization.version}.`,
});

async function store({ name, expectedVersion, ...settings }: Input, context: HandleContext) {
  const { repositories, now } = context;
  const current = await repositories.organization.get();
  requireVersion(current, expectedVersion);
  const changed = {
    ...current,
    name: name ?? current.name,
    settings: {
      ...current.settings,
      auditPayloads: settings.auditPayloads ?? current.settings.auditPayloads,
      auditDurability: settings.auditDurability ?? current.settings.auditDurability,
      approvalTtlMinutes: settings.approvalTtlMinutes ?? current.settings.approvalTtlMinutes,
      assignmentGrantsAccess: settings.assignmentGrantsAccess ?? current.settings.assignmentGrantsAccess,
      timeZone: settings.timeZone ?? current.settings.timeZone,
      skillRiskAction: {
        critical: settings.skillRiskAction?.critical ?? current.settings.skillRiskAction.critical,
        high: settings.skillRiskAction?.high ?? current.settings.skillRiskAction.high,
      },
      skillApproval: settings.skillApproval ?? current.settings.skillApproval,
      notifications: await storeNotifications(settings.notifications, current.settings.notifications, context),
    },
    version: current.version + 1,
    updatedAt: now,
  };
  await repositories.organization.save(changed);
  return { organization: showOrganization(changed) };
}
