import { AppError } from "../lib/errors.ts";
import { readSkillFolder } from "../skills/package/skill-folder.ts";
import { digestSkill, toSkillPackage } from "../skills/package/skill-package.ts";
import type { CoverageEntry, DiscoveredSkill, Facts } from "../sweep/facts.ts";
import { errorCode } from "../sweep/read-bounded.ts";

/**
 * The facts with each skill under the digest that the registry gives it, so that the two can be compared. What is no valid skill keeps its own. Whoever
 * planted a skill MUST NOT end a scan by it: one that fails in a way nobody foresaw keeps its own digest too, and the coverage says so.
 */
export async function withRegisteredDigests(facts: Facts): Promise<Facts> {
  const skills: DiscoveredSkill[] = [];
  const gaps: CoverageEntry[] = [];
  for (const skill of facts.skills) {
    const digest = skill.kind === "rules" ? skill.digest : await digestOf(skill);
    skills.push({ ...skill, digest: digest ?? skill.digest });
    if (digest === undefined) gaps.push({ target: "host", place: skill.path, status: "skipped", reason: NOT_COMPARED });
  }
  return { ...facts, skills, coverage: [...facts.coverage, ...gaps] };
}

const NOT_COMPARED = "the skill could not be compared with the registered ones";

async function digestOf({ path, digest }: DiscoveredSkill): Promise<string | undefined> {
  try {
    return digestSkill(toSkillPackage(await readSkillFolder(path)));
  } catch (error) {
    // Too large, no valid SKILL.md, gone or closed meanwhile: the registry cannot hold it as it is.
    return error instanceof AppError || errorCode(error) !== "" ? digest : undefined;
  }
}
