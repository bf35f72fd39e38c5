import type { PrincipalFields, PrincipalScope, ResourceFields, ResourceScope, StructuredRule } from "./policy.ts";

/** An object that can be put into the scope of policies by itself. */
export interface AttachedObject {
  readonly kind: "agent" | "server";
  readonly id: string;
}

/** An object that a policy may name. */
export type PolicyObject = AttachedObject | { readonly kind: "skill"; readonly id: string };

/**
 * The rule without an object that goes; undefined where nothing would be left of what it selects. A list that becomes empty
 * would mean "any", so a rule is never shortened to something wider than it was.
 */
export function withoutObject(rule: StructuredRule, { kind, id }: PolicyObject): StructuredRule | undefined {
  if (kind === "agent") {
    const principals = withoutAgent(rule.principals, id);
    return principals === undefined ? undefined : { ...rule, principals };
  }
  const drop = kind === "server" ? withoutServerFields : withoutSkillFields;
  const resources = withoutResource(rule.resources, (fields) => drop(fields, id));
  return resources === undefined ? undefined : { ...rule, resources };
}

/** The rule with an object added to what it selects, and no longer excepted; the same rule where it selects it already. */
export function withObject(rule: StructuredRule, { kind, id }: AttachedObject): StructuredRule {
  return kind === "agent"
    ? { ...rule, principals: withAgent(rule.principals, id) }
    : { ...rule, resources: withServer(rule.resources, id) };
}

/** Whether the rule selects the object by its own id. */
export function namesObject({ principals, resources }: StructuredRule, { kind, id }: AttachedObject): boolean {
  return (kind === "agent" ? principals.agents : resources.servers)?.includes(id) ?? false;
}

function withoutAgent({ except, ...fields }: PrincipalScope, id: string): PrincipalScope | undefined {
  const left = { ...fields, agents: without(fields.agents, id) };
  if (!selectsSubjects(left)) return undefined;
  const excepted = except === undefined ? undefined : { ...except, agents: without(except.agents, id) };
  return { ...left, ...(excepted !== undefined && selectsSubjects(excepted) ? { except: excepted } : {}) };
}

function selectsSubjects({ everyone, agents, agentTypes, groups, members, roles }: PrincipalFields): boolean {
  return everyone === true || [agents, agentTypes, groups, members, roles].some(isNamed);
}

function withoutResource(
  { except, ...fields }: ResourceScope,
  drop: (fields: ResourceFields) => ResourceFields | undefined,
): ResourceScope | undefined {
  const left = drop(fields);
  if (left === undefined) return undefined;
  const excepted = except === undefined ? undefined : drop(except);
  return { ...left, ...(excepted === undefined ? {} : { except: excepted }) };
}

/** (`everything`, `servers` or `groups`) and `tools`, or `skills`: each side that loses its last entry loses its alternative. */
function withoutServerFields(fields: ResourceFields, id: string): ResourceFields | undefined {
  const servers = without(fields.servers, id);
  const tools = fields.tools?.filter((tool) => !tool.startsWith(`${id}/`));
  const keepsPlace = hasPlace({ ...fields, servers }) || !isNamed(fields.servers);
  const keepsTools = isNamed(tools) || !isNamed(fields.tools);
  const wasOnServers = hasPlace(fields) || isNamed(fields.tools);
  if (keepsPlace && keepsTools && wasOnServers) return { ...fields, servers, tools };
  return isNamed(fields.skills) ? { skills: fields.skills } : undefined;
}

/** What is on servers stays; without its last skill a rule that is about skills alone is about nothing. */
function withoutSkillFields(fields: ResourceFields, id: string): ResourceFields | undefined {
  const skills = without(fields.skills, id);
  const isOnServers = hasPlace(fields) || isNamed(fields.tools);
  return isOnServers || isNamed(skills) ? { ...fields, skills } : undefined;
}

function hasPlace({ everything, servers, groups }: ResourceFields): boolean {
  return everything === true || isNamed(servers) || isNamed(groups);
}

function withAgent(scope: PrincipalScope, id: string): PrincipalScope {
  const { except, ...fields } = scope;
  const selected = fields.everyone === true ? fields : { ...fields, agents: including(fields.agents, id) };
  const excepted = except === undefined ? undefined : { ...except, agents: without(except.agents, id) };
  return { ...selected, ...(excepted !== undefined && selectsSubjects(excepted) ? { except: excepted } : {}) };
}

function withServer(scope: ResourceScope, id: string): ResourceScope {
  const { except, ...fields } = scope;
  const { everything, servers, groups, tools } = fields;
  // Tools without a place are those of every server: to name one would take the others away.
  const isAnywhere = everything === true || (!isNamed(servers) && !isNamed(groups) && isNamed(tools));
  const selected = isAnywhere ? fields : { ...fields, servers: including(servers, id) };
  const excepted = except === undefined ? undefined : withoutServerFields(except, id);
  return { ...selected, ...(excepted === undefined ? {} : { except: excepted }) };
}

function including(list: readonly string[] | undefined, id: string): readonly string[] {
  return list?.includes(id) === true ? list : [...(list ?? []), id];
}

function without(list: readonly string[] | undefined, id: string): readonly string[] | undefined {
  const left = list?.filter((other) => other !== id);
  return isNamed(left) ? left : undefined;
}

function isNamed(list: readonly string[] | undefined): boolean {
  return list !== undefined && list.length > 0;
}
