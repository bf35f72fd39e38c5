import type { GetPromptResult, ListPromptsResult } from "@modelcontextprotocol/server";
import { askerOf } from "./connections.ts";
import { type Handling, recordList } from "./made-answer.ts";
import { recordReading, refuseSkill, skillsOf } from "./read-skill.ts";

/** Skills with instructions as prompts, for clients that do not know the Skills extension. */
export async function listSkillPrompts(handling: Handling): Promise<ListPromptsResult> {
  const { connection, parts } = handling;
  const prompts = skillsOf(connection, parts.context)
    .filter(({ serving }) => serving.content.instructions.trim() !== "")
    .map(({ skill, serving }) => ({ name: skill.name, description: serving.content.description }));
  const asker = askerOf(connection, parts.context);
  return recordList({ prompts }, { event: "prompt.list", count: prompts.length }, { ...handling, asker });
}

/** The instructions as a message of the user. Throws `RpcRefusal` for a skill that is not there for this agent. */
export async function getSkillPrompt(name: string, handling: Handling): Promise<GetPromptResult> {
  const { connection, parts } = handling;
  const { context } = parts;
  const view = skillsOf(connection, context).find(({ skill }) => skill.name === name);
  if (view === undefined) throw await refuseSkill("prompt.get", name, { connection, context });
  const { description, instructions } = view.serving.content;
  const answer: GetPromptResult = {
    description,
    messages: [{ role: "user", content: { type: "text", text: instructions } }],
  };
  return recordReading(answer, { event: "prompt.get", view, path: "SKILL.md" }, handling);
}
