import { formatSkillDocument, type SkillPackage } from "../package/skill-package.ts";
import { decodeText } from "../package/skill-files.ts";
import { scanCode } from "./code-rules.ts";
import type { Evidence, Severity, SkillRisk } from "./evidence.ts";
import { scanFile } from "./file-rules.ts";
import { scanShapes } from "./shape-rules.ts";

export interface SkillScan {
  readonly risk: SkillRisk;
  /** Worst first. Excerpts are text of the skill: untrusted. */
  readonly evidence: readonly Evidence[];
}

export interface SkillScanOptions {
  /** The rules shared with the sweep: secrets, hidden characters, instructions that override the model. */
  readonly scanText: (text: string, path: string) => readonly Evidence[];
}

/** Worst first. */
const SEVERITIES: readonly Severity[] = ["critical", "high", "medium", "low", "info"];
const EVIDENCE_MAX = 200;

/** Judges a skill by what it contains, without running it. Deterministic: the same skill gives the same scan. */
export function scanSkill(skill: SkillPackage, { scanText }: SkillScanOptions): SkillScan {
  const texts = textsOf(skill);
  const evidence = [
    ...texts.flatMap(({ path, text }) => [...scanShapes(text, path), ...scanText(text, path)]),
    ...skill.files.flatMap(scanFile),
    ...(skill.function === undefined ? [] : scanCode(skill.function.code, skill.function)),
  ];
  const sorted = evidence.toSorted((left, right) => rank(left) - rank(right));
  return { risk: sorted[0]?.severity ?? "none", evidence: sorted.slice(0, EVIDENCE_MAX) };
}

function textsOf(skill: SkillPackage): readonly { readonly path: string; readonly text: string }[] {
  const files = skill.files.flatMap(({ path, bytes }) => {
    const text = decodeText(bytes);
    return text === undefined ? [] : [{ path, text }];
  });
  const document = { path: "SKILL.md", text: formatSkillDocument(skill.document) };
  if (skill.function === undefined) return [document, ...files];
  const { code, ...manifest } = skill.function;
  // Schemas are read by models too: descriptions in them are a place for instructions.
  const described = { path: "skill.json", text: JSON.stringify(manifest, undefined, 2) };
  return [document, { path: "skill.js", text: code }, described, ...files];
}

function rank(evidence: Evidence): number {
  return SEVERITIES.indexOf(evidence.severity);
}
