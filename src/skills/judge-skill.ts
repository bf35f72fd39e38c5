import { checkSkill } from "./check-skill.ts";
import { digestSkill, type SkillPackage } from "./package/skill-package.ts";
import { scanSkill, type SkillScan } from "./scan/scan-skill.ts";
import { scanText } from "./scan/scan-text.ts";

export { checkSchemas } from "./check-skill.ts";

export interface JudgedSkill {
  readonly digest: string;
  readonly scan: SkillScan;
}

/** Checks and scans a skill, which takes parsers of JavaScript, YAML and JSON Schema. Throws for what could never serve. */
export function judgeSkill(skill: SkillPackage): JudgedSkill {
  checkSkill(skill);
  return { digest: digestSkill(skill), scan: scanSkill(skill, { scanText }) };
}
