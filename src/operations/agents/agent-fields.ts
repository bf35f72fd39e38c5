import { z } from "zod";
import { AGENT_STATUSES, type Assignment } from "../../domain/agent.ts";
import type { Repositories } from "../../store/ports.ts";
import { NameField, RefField, text } from "../fields.ts";

const Glob = z.string().min(1).max(512).describe("Name or URI; `*` stands for any characters");
const Globs = z.array(Glob).max(500);

const AssignmentField = z.union([
  RefField,
  z.strictObject({
    server: RefField,
    tools: Globs.optional().describe("Tools it may use; with one list given, an omitted one means none"),
    resources: Globs.optional().describe("Resources it may read, by URI"),
    prompts: Globs.optional().describe("Prompts it may get"),
  }),
]);

/** Fields that an agent is created and changed with. */
export const agentFields = {
  name: NameField.describe("Unique name"),
  type: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 of `a-z`, `0-9` and `-`")
    .describe(
      "`claude-desktop`, `claude-code`, `cursor`, `vscode-copilot`, `windsurf`, `codex`, `gemini-cli`, `openclaw`, or your own word",
    ),
  description: text(2000).describe("What it is for"),
  owner: RefField.describe("Member who answers for it, by id or email"),
  status: z.enum(AGENT_STATUSES).describe("A suspended agent is refused at its next message"),
  servers: z
    .array(AssignmentField)
    .max(500)
    .describe("Servers it may reach, each whole or limited to tools, resources and prompts"),
  skills: z.array(RefField).max(500).describe("The only skills it may use; unset leaves it all that its servers allow"),
  groups: z.array(RefField).max(100).describe("Groups it belongs to; a new name makes a group"),
};

export type AssignmentInput = z.output<typeof AssignmentField>;

/** The assignments that an input means, one per server; a server named twice takes its last mention. */
export async function resolveAssignments(
  inputs: readonly AssignmentInput[],
  repositories: Repositories,
): Promise<readonly Assignment[]> {
  const byServer = new Map<string, Assignment>();
  for (const input of inputs) {
    const entry = typeof input === "string" ? { server: input } : input;
    const { id } = await repositories.servers.get(entry.server);
    byServer.set(id, toAssignment(id, entry));
  }
  return [...byServer.values()];
}

/** The ids of skills that must exist. */
export async function resolveSkills(refs: readonly string[], { skills }: Repositories): Promise<readonly string[]> {
  const ids = await Promise.all(refs.map(async (ref) => (await skills.get(ref)).id));
  return [...new Set(ids)];
}

function toAssignment(serverId: string, entry: Exclude<AssignmentInput, string>): Assignment {
  const { tools, resources, prompts } = entry;
  const isLimited = tools !== undefined || resources !== undefined || prompts !== undefined;
  const omitted = isLimited ? [] : null;
  return { serverId, tools: tools ?? omitted, resources: resources ?? omitted, prompts: prompts ?? omitted };
}
