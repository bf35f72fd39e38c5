import { actionsOf, type PolicyRule, type PrincipalScope, type ResourceScope } from "./rule.ts";

/**
 * Whether `wider` surely selects everything that `rule` selects. It compares what is written, not what it means: `false`
 * may be a covered rule that is written differently.
 */
export function covers(wider: PolicyRule, rule: PolicyRule): boolean {
  if ((wider.conditions ?? []).length > 0) return false;
  return (
    coversPrincipals(wider.principals, rule.principals) &&
    coversResources(wider.resources, rule.resources) &&
    coversActions(wider, rule)
  );
}

function coversPrincipals(wider: PrincipalScope, scope: PrincipalScope): boolean {
  if (wider.except !== undefined) return false;
  if (wider.everyone === true) return true;
  if (scope.everyone === true) return false;
  return (
    isPart(scope.agents, wider.agents) &&
    isPart(scope.agentTypes, wider.agentTypes) &&
    isPart(scope.groups, wider.groups) &&
    isPart(scope.members, wider.members) &&
    isPart(scope.roles, wider.roles)
  );
}

function coversResources(wider: ResourceScope, scope: ResourceScope): boolean {
  if (wider.except !== undefined) return false;
  if (isEverything(wider)) return true;
  return !isEverything(scope) && isPart(scope.skills, wider.skills) && coversServers(wider, scope);
}

function coversServers(wider: ResourceScope, scope: ResourceScope): boolean {
  const place = placeOf(scope);
  const widerPlace = placeOf(wider);
  if (place === "nowhere") return true;
  if (widerPlace === "nowhere" || !coversTools(wider, scope)) return false;
  return widerPlace === "anywhere" || (place === "named" && isPlaced(scope, wider));
}

function isEverything(scope: ResourceScope): boolean {
  return scope.everything === true && !isNamed(scope.tools);
}

/** Without servers and groups, tools mean those of every server; without tools too, a rule is about skills only. */
function placeOf(scope: ResourceScope): "anywhere" | "named" | "nowhere" {
  if (scope.everything === true) return "anywhere";
  if (isNamed(scope.servers) || isNamed(scope.groups)) return "named";
  return isNamed(scope.tools) ? "anywhere" : "nowhere";
}

function coversTools(wider: ResourceScope, scope: ResourceScope): boolean {
  return !isNamed(wider.tools) || (isNamed(scope.tools) && isPart(scope.tools, wider.tools));
}

function isPlaced(scope: ResourceScope, wider: ResourceScope): boolean {
  return isPart(scope.servers, wider.servers) && isPart(scope.groups, wider.groups);
}

function coversActions(wider: PolicyRule, rule: PolicyRule): boolean {
  const all = actionsOf(wider);
  return all.includes("any") || isPart(actionsOf(rule), all);
}

function isNamed(list: readonly string[] | undefined): boolean {
  return list !== undefined && list.length > 0;
}

function isPart(part: readonly string[] | undefined, whole: readonly string[] | undefined): boolean {
  return (part ?? []).every((item) => whole?.includes(item) === true);
}
