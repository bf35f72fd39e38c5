export const NAMESPACE = "Runlayer";

/**
 * The published Cedar schema. `context.args` is open: what a tool's arguments hold is the tool's business, so paths below
 * it are not declared and not type-checked (see `arguments.ts` for their values).
 */
export const CEDAR_SCHEMA = `namespace Runlayer {
  // Who asks. An agent is below its type, its groups and its acting member; the member is below its groups and its role.
  entity AgentType, Group, Role, ServerGroup;
  entity Member in [Group, Role] {
    email: String,
  };
  entity Agent in [AgentType, Group, Member] {
    name: String,
    type: String,
    member?: Member,
  };

  // What is asked for.
  entity Server in [ServerGroup] {
    name: String,
  };
  entity Tool in [Server] {
    name: String,
    server: Server,
    // From the pinned definition; absent means destructive and not read-only.
    destructive: Bool,
    readOnly: Bool,
  };
  entity Resource in [Server] {
    uri: String,
    server: Server,
  };
  entity Prompt in [Server] {
    name: String,
    server: Server,
  };
  entity Skill {
    name: String,
  };

  // The kinds of null and of numbers that Cedar has no value for: equal to themselves only, an error in any other test.
  entity Null, Number;

  // Open: any member may be there. Test with \`has\` before use.
  type Arguments = {};

  type Circumstances = {
    args: Arguments,
    // "amount:decimal", "tags:array" and "filter:object" for each argument path that holds a decimal, an array or an object.
    kinds: Set<String>,
    ip?: ipaddr,
    // Self-declared by the client: a hint, not a proof.
    client?: String,
    // Minutes since midnight in the organization's time zone.
    time: Long,
    // "monday" to "sunday", in the organization's time zone.
    weekday: String,
    now: datetime,
  };

  action call_tool appliesTo { principal: Agent, resource: Tool, context: Circumstances };
  action read_resource appliesTo { principal: Agent, resource: Resource, context: Circumstances };
  action get_prompt appliesTo { principal: Agent, resource: Prompt, context: Circumstances };
  action complete appliesTo { principal: Agent, resource: [Prompt, Resource], context: Circumstances };
  action subscribe appliesTo { principal: Agent, resource: [Resource, Server], context: Circumstances };
  action run_skill appliesTo { principal: Agent, resource: Skill, context: Circumstances };
  action sample, elicit, list_roots, connect appliesTo { principal: Agent, resource: Server, context: Circumstances };
}
`;
