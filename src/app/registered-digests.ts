import { AppError } from "../lib/errors.ts";
import { readSkillFolder } from "../skills/package/skill-folder.ts";
import { digestSkill, toSkillPackage } from "../skills/package/skill-package.ts";
import type { DiscoveredSkill, Facts } from "../sweep/facts.ts";

/** The facts with each skill under the digest that the registry gives it, so that the two can be compared. What is no valid skill keeps its own. */
export async function withRegisteredDigests(facts: Facts): Promise<Facts> {
  const skills: DiscoveredSkill[] = [];
  for (const skill of facts.skills) skills.push({ ...skill, digest: await digestOf(skill) });
  return { ...facts, skills };
}

async function digestOf({ kind, path, digest }: DiscoveredSkill): Promise<string> {
  if (kind === "rules") return digest;
  try {
    return digestSkill(toSkillPackage(await readSkillFolder(path)));
  } catch (error) {
    // Too large, no valid SKILL.md, gone or closed meanwhile: the registry cannot hold it as it is.
    if (error instanceof AppError || (error instanceof Error && "code" in error)) return digest;
    throw error;
  }
}
