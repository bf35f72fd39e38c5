import { z } from "zod";
import { SEVERITIES } from "../../../domain/server.ts";
import {
  type Skill,
  SKILL_RISKS,
  SKILL_VERSION_STATES,
  type SkillVersion,
  type SkillVersionSummary,
} from "../../../domain/skill.ts";
import type { SkillTable, SkillVersionTable } from "../skill-tables.ts";
import { storedForeignText } from "./foreign-text.ts";
import { toStoredText } from "./stored-text.ts";
import { jsonText, toJsonOrNull } from "./json-text.ts";

const author = z.object({ type: z.string(), id: z.string(), name: z.string() });

const storedSkill = z.object({
  id: z.string(),
  name: z.string(),
  description: storedForeignText,
  risk: z.enum(SKILL_RISKS),
  latestVersion: z.number(),
  servingVersion: z.number().nullable(),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

const schema = z.record(z.string(), z.unknown());

const content = z.object({
  description: z.string(),
  instructions: z.string(),
  license: z.string().optional(),
  compatibility: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  allowedTools: z.string().optional(),
  function: z
    .object({
      code: z.string(),
      inputSchema: schema.optional(),
      outputSchema: schema.optional(),
      timeoutMs: z.number().optional(),
    })
    .optional(),
  servers: z.array(z.object({ id: z.string(), name: z.string() })),
  tools: z.array(z.string()).optional(),
  files: z.array(z.object({ path: z.string(), base64: z.string() })),
});

const storedSummary = z.object({
  skillId: z.string(),
  version: z.number(),
  digest: z.string(),
  state: z.enum(SKILL_VERSION_STATES),
  risk: z.enum(SKILL_RISKS),
  createdBy: jsonText(author),
  approvedBy: jsonText(author).nullable(),
  createdAt: z.number(),
});

const evidence = z.object({
  rule: z.string(),
  severity: z.enum(SEVERITIES),
  path: z.string(),
  line: z.number().optional(),
  excerpt: z.string(),
});

const storedVersion = storedSummary.extend({ evidence: jsonText(z.array(evidence)), content: jsonText(content) });

/** Throws for rows that no version of this program can have written. */
export function toSkill(row: SkillTable): Skill {
  return storedSkill.parse(row);
}

export function toSkillRow(skill: Skill): SkillTable {
  return { ...skill, description: toStoredText(skill.description) };
}

export function toSkillVersion(row: SkillVersionTable): SkillVersion {
  return storedVersion.parse(row);
}

export function toVersionSummary(row: Omit<SkillVersionTable, "content" | "evidence">): SkillVersionSummary {
  return storedSummary.parse(row);
}

export function toSkillVersionRow(version: SkillVersion): SkillVersionTable {
  return {
    ...version,
    evidence: JSON.stringify(version.evidence),
    content: JSON.stringify(version.content),
    createdBy: JSON.stringify(version.createdBy),
    approvedBy: toJsonOrNull(version.approvedBy),
  };
}
