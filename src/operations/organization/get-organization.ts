import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { SeverityCounts } from "../sweep/sweep-output.ts";
import { OrganizationOutput, showOrganization } from "./organization-output.ts";
import { assessPosture, Posture } from "./posture.ts";

const Inventory = z.object({
  servers: z.object({ total: z.int(), active: z.int(), disabled: z.int(), quarantined: z.int() }),
  agents: z.object({ total: z.int(), active: z.int(), suspended: z.int() }),
  policies: z.object({ total: z.int(), enforce: z.int(), monitor: z.int(), disabled: z.int() }),
  skills: z.int(),
  members: z.int(),
  apiKeys: z.object({ active: z.int(), unused: z.int(), revoked: z.int() }),
  devices: z.int(),
  openFindings: SeverityCounts.describe("Open findings of sweep scans by severity"),
});

/** Who we are, what we have. */
export const getOrganization = defineOperation({
  name: "get_organization",
  title: "Get organization",
  description:
    "Shows the organization with its settings, an inventory of servers, agents, policies, members and API keys, and a posture: what needs attention and which operation shows or fixes it. Use it first, to learn what this installation governs.",
  route: "GET /organization",
  command: "organization get",
  roles: READERS,
  effect: "read",
  input: z.object({}),
  output: z.object({ organization: OrganizationOutput, inventory: Inventory, posture: Posture }),
  async handle(_input, { repositories, services, now }) {
    const servers = await repositories.servers.countByStatus();
    const agents = await repositories.agents.countByStatus();
    const policies = await repositories.policies.countByMode();
    const members = await repositories.members.list({}, { limit: 1 });
    const devices = await repositories.devices.list(undefined, { limit: 1 });
    return {
      organization: showOrganization(await repositories.organization.get()),
      inventory: {
        servers: { ...servers, total: servers.active + servers.disabled + servers.quarantined },
        agents: { ...agents, total: agents.active + agents.suspended },
        policies: { ...policies, total: policies.enforce + policies.monitor + policies.disabled },
        skills: await repositories.skills.count(),
        members: members.total,
        apiKeys: await repositories.apiKeys.counts(now),
        devices: devices.total,
        openFindings: await repositories.findings.countBySeverity(now),
      },
      posture: assessPosture(services.snapshot(), services, {
        now,
        approvalsPending: await repositories.approvals.countPending(now),
      }),
    };
  },
  summarize: ({ organization, inventory, posture }) =>
    `Organization \`${organization.id}\`: ${inventory.servers.total} servers, ${inventory.agents.total} agents, ${inventory.apiKeys.active} active keys; posture ${posture.score} of 100 with ${posture.problems.length} problems.`,
});
