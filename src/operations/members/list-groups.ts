import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, toPageAnswer, toPageRequest } from "../fields.ts";

const GroupOutput = z.object({
  id: z.string(),
  name: z.string(),
  agentCount: z.int(),
  serverCount: z.int(),
  memberCount: z.int(),
  createdAt: z.string(),
});

/** The groups with how many agents, servers and members each has. */
export const listGroups = defineOperation({
  name: "list_groups",
  title: "List groups",
  description:
    "Lists groups with how many agents, servers and members belong to each, oldest first. A group comes into being when an agent, server or member is put into it.",
  route: "GET /groups",
  command: "groups list",
  roles: READERS,
  effect: "read",
  input: z.object({ query: QueryField, ...pageInput }),
  output: pageOutput(GroupOutput),
  async handle(input, { repositories }) {
    const page = await repositories.groups.list(input.query, toPageRequest(input));
    const count = async (groupId: string) => ({
      agentCount: (await repositories.agents.list({ groupId }, { limit: 1 })).total,
      serverCount: (await repositories.servers.list({ groupId }, { limit: 1 })).total,
      memberCount: (await repositories.members.list({ groupId }, { limit: 1 })).total,
    });
    const items = await Promise.all(
      page.items.map(async ({ id, name, createdAt }) => ({
        id,
        name,
        ...(await count(id)),
        createdAt: toRfc3339(createdAt),
      })),
    );
    return toPageAnswer({ ...page, items }, (group) => group);
  },
  summarize: ({ items, total }) => `${items.length} of ${total} groups.`,
});
