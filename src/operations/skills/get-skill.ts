import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { showSkill, SkillOutput } from "./skill-output.ts";

/** One skill with a version of it, what it needs, and how it is used. */
export const getSkill = defineOperation({
  name: "get_skill",
  title: "Get skill",
  description:
    "Shows one skill: instructions, code, schemas, files (path, digest, size), the servers and tools it needs and their health, how often which agent ran it, and its versions. Shows the version that serves unless another is asked for.",
  route: "GET /skills/{id}",
  command: "skills get",
  roles: READERS,
  effect: "read",
  input: z.object({
    id: RefField.describe("Skill, by id or name"),
    version: z.int().min(1).optional().describe("Show this version instead of the one that serves"),
    includeFiles: z.boolean().optional().describe("Give the files with their content, in base64"),
  }),
  output: z.object({ skill: SkillOutput }),
  async prepare({ id, version, includeFiles }, { services }) {
    // The counts are of audited runs: what an agent was answered is in them.
    await services.flushAudit();
    return async (context) => {
      const skill = await context.repositories.skills.get(id);
      return { skill: await showSkill(skill, context, { version, includeFiles }) };
    };
  },
  summarize: ({ skill }) =>
    `Skill \`${skill.name}\` (${skill.id}) is ${skill.status} at version ${skill.version}; ${skill.usageCount.total} runs.`,
});
