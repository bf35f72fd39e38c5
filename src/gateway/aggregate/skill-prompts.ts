import type { GetPromptResult, ListPromptsResult } from "@modelcontextprotocol/server";
import { recordList, type ServerParts } from "./aggregate-server.ts";
import { askerOf, type Connection } from "./connections.ts";
import { recordReading, refuseSkill, skillsOf } from "./read-skill.ts";

/** Skills with instructions as prompts, for clients that do not know the Skills extension. */
export async function listSkillPrompts(parts: ServerParts, connection: Connection): Promise<ListPromptsResult> {
  const { context } = parts;
  const prompts = skillsOf(connection, context)
    .filter(({ serving }) => serving.content.instructions.trim() !== "")
    .map(({ skill, serving }) => ({ name: skill.name, description: serving.content.description }));
  const asker = askerOf(connection, context);
  await recordList("prompt.list", prompts.length, { parts, asker, connection });
  return { prompts };
}

/** The instructions as a message of the user. Throws `RpcRefusal` for a skill that is not there for this agent. */
export async function getSkillPrompt(
  name: string,
  { context }: ServerParts,
  connection: Connection,
): Promise<GetPromptResult> {
  const view = skillsOf(connection, context).find(({ skill }) => skill.name === name);
  if (view === undefined) throw await refuseSkill("prompt.get", name, { connection, context });
  await recordReading("prompt.get", view, { connection, context, path: "SKILL.md" });
  const { description, instructions } = view.serving.content;
  return { description, messages: [{ role: "user", content: { type: "text", text: instructions } }] };
}
