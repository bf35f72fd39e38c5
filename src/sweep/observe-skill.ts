import { analyzeText } from "../guard/analyze-text.ts";
import type { DiscoveredSkill } from "./facts.ts";
import type { Instance, Observation } from "./finding.ts";
import type { Matcher } from "./match.ts";
import { visible } from "./server-rules.ts";

/** Judges one skill or rule file: registered or not, modified or not, and what its texts try. */
export function skillObservations(skill: DiscoveredSkill, matcher: Matcher, origin: Instance): Observation[] {
  return [...skillStandingObservations(skill, matcher, origin), ...textsOf(skill, origin), ...opaqueOf(skill, origin)];
}

function common(skill: Pick<DiscoveredSkill, "digest">) {
  return { confidence: 1, fix: { kind: "review" }, identity: `skill:${skill.digest}` } as const;
}

/** A skill that nobody registered, or that differs from the registered one; nothing for rule files. */
export function skillStandingObservations(
  skill: Pick<DiscoveredSkill, "name" | "kind" | "digest" | "path" | "source">,
  matcher: Matcher,
  origin: Instance,
): Observation[] {
  const standing = matcher.skillStandingOf(skill);
  if (skill.kind === "rules" || standing === "registered") return [];
  const isModified = standing === "modified";
  const verdict = isModified
    ? ({
        code: "SKILL-MODIFIED",
        kind: "drift",
        severity: "medium",
        title: "skill that differs from the registered one",
      } as const)
    : ({ code: "SHADOW-SKILL", kind: "shadow_skill", severity: "low", title: "skill that nobody registered" } as const);
  return [
    {
      ...common(skill),
      ...verdict,
      evidence: `skill \`${visible(skill.name)}\`${skill.source === undefined ? "" : `, installed from \`${visible(skill.source)}\``}, digest ${skill.digest.slice(0, 19)}`,
      remediation: "review it and register it with create_skill, or remove the folder",
      instance: { ...origin, path: skill.path },
    },
  ];
}

function textsOf(skill: DiscoveredSkill, origin: Instance): Observation[] {
  return skill.files.flatMap((file): Observation[] => {
    const analysis = analyzeText(file.text, "skill");
    const [worst] = analysis.matches.toSorted((left, right) => right.weight - left.weight);
    if (!analysis.isSuspicious || worst === undefined) return [];
    const isHidden = worst.ruleId.startsWith("unicode.");
    return [
      {
        ...common(skill),
        code: isHidden ? "POISON-UNICODE" : "POISON-DESC",
        kind: "security_risk",
        title: isHidden ? "hidden characters in a skill" : "skill that may turn an agent against its user",
        severity: analysis.score >= 0.85 ? "critical" : "high",
        confidence: analysis.score,
        evidence: `${worst.title} (${worst.ruleId}): ${worst.excerpt}`,
        remediation: "do not let agents use it until a person has read it",
        instance: { ...origin, path: file.path, line: worst.line },
      },
    ];
  });
}

function opaqueOf(skill: DiscoveredSkill, origin: Instance): Observation[] {
  if (skill.opaque.length === 0) return [];
  return [
    {
      ...common(skill),
      code: "NOT-ANALYSABLE",
      kind: "security_risk",
      title: "skill with files that cannot be judged",
      severity: "info",
      evidence: `${String(skill.opaque.length)} files of skill \`${visible(skill.name)}\` are binary, links, too large or too many`,
      remediation: "look at them by hand",
      instance: { ...origin, path: skill.opaque[0] },
    },
  ];
}
