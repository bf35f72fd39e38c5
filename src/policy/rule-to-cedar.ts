import { AppError } from "../lib/errors.ts";
import { isUuid } from "../lib/ids.ts";
import { all, any, entity, globPattern, quote } from "./cedar-text.ts";
import { conditionToCedar } from "./condition-to-cedar.ts";
import { actionsOf, type PolicyRule, type PrincipalFields, type ResourceFields } from "./rule.ts";

/**
 * The Cedar text of a structured rule. Throws `invalid_input` naming the field at fault: a scope that selects nothing by
 * omission, an unknown trait, a condition whose operator or value does not fit.
 */
export function ruleToCedar(rule: PolicyRule): string {
  const tests = [
    ...scopeTests(
      "principals",
      principalTest(rule.principals),
      rule.principals.except && principalTest(rule.principals.except),
    ),
    ...scopeTests(
      "resources",
      resourceTest(rule.resources),
      rule.resources.except && resourceTest(rule.resources.except),
    ),
    ...(rule.conditions ?? []).map(conditionToCedar),
  ];
  const annotation = rule.effect === "require_approval" ? '@effect("require_approval")\n' : "";
  const head = `${rule.effect === "allow" ? "permit" : "forbid"} (principal, ${actionScope(rule)}, resource)`;
  return `${annotation}${head}${tests.map((test) => `\nwhen { ${test} }`).join("")};\n`;
}

function scopeTests(field: string, selected: string, excepted: string | undefined): string[] {
  if (selected === NOTHING) {
    throw new AppError(
      "invalid_input",
      `\`${field}\` selects nothing; name what the rule is about, or say \`${everyOf(field)}: true\``,
      {
        details: { field },
      },
    );
  }
  const tests = selected === EVERYTHING ? [] : [selected];
  return excepted === undefined || excepted === NOTHING ? tests : [...tests, `!(${excepted})`];
}

const EVERYTHING = "true";
const NOTHING = "false";

function everyOf(field: string): string {
  return field === "principals" ? "everyone" : "everything";
}

/** Fields and values are alternatives. Groups are the agent's or its member's: both are above the agent. */
function principalTest(fields: PrincipalFields): string {
  if (fields.everyone === true) return EVERYTHING;
  return any([
    ...isIn("principal", "Agent", fields.agents),
    ...isIn("principal", "AgentType", fields.agentTypes),
    ...isIn("principal", "Group", fields.groups),
    ...isIn("principal", "Member", fields.members),
    ...isIn("principal", "Role", fields.roles),
  ]);
}

/** (`everything`, `servers` or `groups`) and `tools`; or `skills`. */
function resourceTest(fields: ResourceFields): string {
  const tools = fields.tools ?? [];
  const servers = [...isIn("resource", "Server", fields.servers), ...isIn("resource", "ServerGroup", fields.groups)];
  const isAnywhere = fields.everything === true || servers.length === 0;
  const places = isAnywhere ? [] : [any(servers)];
  if (fields.everything === true && tools.length === 0) return EVERYTHING;
  const onServers = tools.length > 0 ? [all([...places, "resource is Runlayer::Tool", any(toolTests(tools))])] : places;
  return any([...onServers, ...isIn("resource", "Skill", fields.skills)]);
}

function isIn(variable: string, type: string, ids: readonly string[] | undefined): string[] {
  const [first, ...rest] = (ids ?? []).map((id) => entity(type, id));
  if (first === undefined) return [];
  return [rest.length === 0 ? `${variable} in ${first}` : `${variable} in [${[first, ...rest].join(", ")}]`];
}

function toolTests(tools: readonly string[]): string[] {
  const plainNames = tools.filter((tool) => !/[*/]/.test(tool) && !tool.startsWith("trait:"));
  const others = tools.filter((tool) => !plainNames.includes(tool)).map(toolTest);
  if (plainNames.length === 0) return others;
  return [`[${plainNames.map(quote).join(", ")}].contains(resource.name)`, ...others];
}

function toolTest(tool: string): string {
  if (tool.startsWith("trait:")) return traitTest(tool);
  const slash = tool.indexOf("/");
  if (slash < 0) return nameTest(tool);
  const server = tool.slice(0, slash);
  const glob = tool.slice(slash + 1);
  const name = nameTest(glob);
  if (server === "*") return name;
  if (!isUuid(server)) {
    throw new AppError(
      "invalid_input",
      `tool \`${tool}\` names server \`${server}\`, which is not registered; name one server before \`/\``,
      {
        details: { field: "resources.tools" },
      },
    );
  }
  // One exact tool is an entity of its own, which the index finds at once.
  if (!glob.includes("*")) return `resource == ${entity("Tool", `${server}/${glob}`)}`;
  return all([`resource in ${entity("Server", server)}`, name]);
}

function traitTest(trait: string): string {
  if (trait === "trait:destructive") return "resource.destructive";
  if (trait === "trait:read-only") return "resource.readOnly";
  throw new AppError(
    "invalid_input",
    `trait \`${trait}\` does not exist; use \`trait:destructive\` or \`trait:read-only\``,
    {
      details: { field: "resources.tools" },
    },
  );
}

function nameTest(glob: string): string {
  return glob.includes("*") ? `resource.name like ${globPattern(glob)}` : `resource.name == ${quote(glob)}`;
}

function actionScope(rule: PolicyRule): string {
  const chosen = actionsOf(rule);
  if (chosen.includes("any")) return "action";
  return `action in [${chosen.map((action) => entity("Action", action)).join(", ")}]`;
}
