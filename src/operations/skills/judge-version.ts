import { isDeepStrictEqual } from "node:util";
import { isGuardian, type Role } from "../../domain/role.ts";
import type { OrganizationSettings } from "../../domain/organization.ts";
import type { SkillContent, SkillVersion, SkillVersionState } from "../../domain/skill.ts";
import { lazily } from "../../lib/lazily.ts";
import type { JudgedSkill } from "../../skills/judge-skill.ts";
import { isBlockingRisk } from "../../skills/scan/evidence.ts";
import { toPackage } from "./skill-content.ts";
import type { SkillInput } from "./skill-fields.ts";

/** Files that hold words only; any other file may be run by an agent. */
const WORDS_ONLY = /\.(?:md|txt)$/i;

export interface JudgedContent extends JudgedSkill {
  readonly content: SkillContent;
}

type GivenSchemas = Pick<SkillInput, "inputSchema" | "outputSchema">;

// Skills are written rarely, and the parsers that judge them are large.
const loadJudge = lazily(() => import("../../skills/judge-skill.ts"));

/**
 * MUST be done before the transaction that judges: whoever else writes would wait for the first load, which takes a third of a
 * second, and for the given schemas. Throws for a schema that could never serve.
 */
export async function prepareJudge(schemas: GivenSchemas): Promise<void> {
  const { checkSchemas } = await loadJudge();
  checkSchemas(schemas);
}

/** Checks and scans what would become a version. Throws for what could never serve. */
export async function judgeContent(name: string, content: SkillContent): Promise<JudgedContent> {
  const { judgeSkill } = await loadJudge();
  return { content, ...judgeSkill(toPackage(name, content)) };
}

/**
 * Whether a version may serve. A dangerous one is blocked whoever wrote it; one by an operator that can do more than what serves
 * waits for `security` (contract section 7).
 */
export function stateOf(
  { content, scan }: JudgedContent,
  { settings, role, serving }: { settings: OrganizationSettings; role: Role; serving: SkillVersion | undefined },
): SkillVersionState {
  if (isBlocked(scan, settings)) return "blocked";
  if (settings.skillApproval === "off" || isGuardian(role)) return "approved";
  return addsPower(content, serving?.content) ? "pending" : "approved";
}

function isBlocked({ risk }: JudgedSkill["scan"], { skillRiskAction }: OrganizationSettings): boolean {
  return isBlockingRisk(risk) && (risk === "critical" ? skillRiskAction.critical : skillRiskAction.high) === "block";
}

/** Whether it runs other code, reaches other servers or tools, allows other tools, or brings other files that can be run. */
export function addsPower(content: SkillContent, before: SkillContent | undefined): boolean {
  const known = new Set(before?.servers.map(({ id }) => id));
  if (content.function !== undefined && content.function.code !== before?.function?.code) return true;
  if (content.servers.some(({ id }) => !known.has(id))) return true;
  if (before !== undefined && !areToolsWithin(content.tools, before.tools)) return true;
  const allowed = new Set(namesIn(before?.allowedTools));
  if (namesIn(content.allowedTools).some((name) => !allowed.has(name))) return true;
  return content.files.some(
    (file) => !WORDS_ONLY.test(file.path) && !before?.files.some((old) => isDeepStrictEqual(old, file)),
  );
}

/** The entries of `allowed-tools`: a name, or a name with what it is limited to in brackets, such as `Bash(git add:*)`. */
function namesIn(allowedTools = ""): readonly string[] {
  return allowedTools.match(/[^\s()]+(?:\([^()]*\))?|\S/g) ?? [];
}

function areToolsWithin(tools: SkillContent["tools"], before: SkillContent["tools"]): boolean {
  if (before === undefined) return true;
  return tools !== undefined && tools.every((tool) => before.includes(tool));
}
