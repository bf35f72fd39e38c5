import { findContradiction } from "./contradiction.ts";
import { matchesGlob } from "./glob.ts";
import type { PolicyEffect } from "./policy-terms.ts";
import type { PolicyRule } from "./rule.ts";
import { covers } from "./rule-coverage.ts";

export interface LintWarning {
  readonly code: "unknown_tool" | "empty_group" | "contradictory_conditions" | "shadowed" | "pointless_allow";
  readonly message: string;
}

export interface LintFacts {
  readonly tools: readonly { readonly serverId: string; readonly name: string }[];
  /** Members and agents per group, and servers per group; a group that is not listed is empty. */
  readonly principalsPerGroup: ReadonlyMap<string, number>;
  readonly serversPerGroup: ReadonlyMap<string, number>;
  /** The other enforced rules. */
  readonly otherRules: readonly { readonly name: string; readonly rule: PolicyRule }[];
  readonly assignmentGrantsAccess: boolean;
}

/** What is allowed to be written but is probably not meant. Never refuses; an empty list means that nothing is odd. */
export function lintRule(rule: PolicyRule, facts: LintFacts): readonly LintWarning[] {
  return [
    ...unknownTools(rule, facts),
    ...emptyGroups(rule, facts),
    ...contradictions(rule),
    ...shadows(rule, facts),
    ...pointlessAllow(rule.effect, facts.assignmentGrantsAccess),
  ];
}

/** The one warning that a policy written as Cedar text can have too. */
export function pointlessAllow(effect: PolicyEffect, assignmentGrantsAccess: boolean): readonly LintWarning[] {
  if (effect !== "allow" || !assignmentGrantsAccess) return [];
  const message =
    "assignment already grants access, so this rule allows nothing new; turn `assignmentGrantsAccess` off, or write a deny";
  return [{ code: "pointless_allow", message }];
}

function unknownTools(rule: PolicyRule, { tools }: LintFacts): LintWarning[] {
  const patterns = [...(rule.resources.tools ?? []), ...(rule.resources.except?.tools ?? [])];
  return patterns
    .filter((pattern) => !pattern.startsWith("trait:") && !tools.some((tool) => isSelected(pattern, tool)))
    .map((pattern) => ({ code: "unknown_tool", message: `no known tool matches \`${pattern}\`` }));
}

function isSelected(pattern: string, tool: LintFacts["tools"][number]): boolean {
  const slash = pattern.indexOf("/");
  const server = slash < 0 ? "*" : pattern.slice(0, slash);
  return (server === "*" || server === tool.serverId) && matchesGlob(pattern.slice(slash + 1), tool.name);
}

function emptyGroups({ principals, resources }: PolicyRule, facts: LintFacts): LintWarning[] {
  const ofPrincipals = [...(principals.groups ?? []), ...(principals.except?.groups ?? [])];
  const ofServers = [...(resources.groups ?? []), ...(resources.except?.groups ?? [])];
  return [
    ...ofPrincipals.filter((group) => (facts.principalsPerGroup.get(group) ?? 0) === 0),
    ...ofServers.filter((group) => (facts.serversPerGroup.get(group) ?? 0) === 0),
  ].map((group) => ({ code: "empty_group", message: `group \`${group}\` is empty` }));
}

function contradictions({ conditions = [] }: PolicyRule): LintWarning[] {
  const field = findContradiction(conditions);
  if (field === undefined) return [];
  return [{ code: "contradictory_conditions", message: `the conditions on \`${field}\` can never hold together` }];
}

function shadows(rule: PolicyRule, { otherRules }: LintFacts): LintWarning[] {
  const shadow = otherRules.find((other) => isShadow(other.rule, rule));
  if (shadow === undefined) return [];
  return [{ code: "shadowed", message: `policy \`${shadow.name}\` already decides everything that this rule selects` }];
}

/** A rule that always applies first: the same effect, or a deny, on everything that the other one selects. */
function isShadow(wider: PolicyRule, rule: PolicyRule): boolean {
  return (wider.effect === "deny" || wider.effect === rule.effect) && covers(wider, rule);
}
