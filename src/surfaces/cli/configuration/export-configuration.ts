import { z } from "zod";
import type { Operation } from "../../../operations/define-operation.ts";
import { AppError } from "../../../lib/errors.ts";
import { allPages, PAGE_ROWS } from "../all-pages.ts";
import { callApi, type ApiTarget } from "../call-api.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Calls an operation by its name. Throws `AppError`. */
export type Call = (name: string, input: Fields) => Promise<Fields>;

export function createCall(operations: readonly Operation[], target: ApiTarget): Call {
  return async (name, input) => {
    const operation = operations.find((one) => one.name === name);
    if (operation === undefined) throw new Error(`invariant violated: no operation ${name}`);
    const answer = await callApi(operation, input, target);
    if (answer.ok) return answer.output;
    const code = answer.code === "unreachable" ? "unavailable" : answer.code;
    throw new AppError(code, answer.message, answer.details === undefined ? {} : { details: answer.details });
  };
}

const Page = z.looseObject({ items: z.array(z.looseObject({ id: z.string() })), nextCursor: z.string().optional() });
const Owner = z.object({ id: z.string() }).nullable();
const Server = z.looseObject({
  name: z.string(),
  owner: Owner,
  args: z.array(z.string()).optional(),
  headers: z.record(z.string(), z.string()),
  env: z.record(z.string(), z.string()),
  credential: z.object({ type: z.string(), names: z.array(z.string()).optional(), tokenUrl: z.string().optional() }),
});
const Agent = z.looseObject({
  owner: Owner,
  skills: z.array(z.object({ name: z.string(), version: z.int().optional() })).nullable(),
  servers: z.array(z.looseObject({ server: z.object({ name: z.string() }) })),
});
const Policy = z.looseObject({ principals: z.looseObject({}) });

const SERVER_FIELDS = [
  "name",
  "description",
  "transport",
  "url",
  "command",
  "cwd",
  "groups",
  "status",
  "allowPrivateNetwork",
  "shareable",
];
const AGENT_FIELDS = ["name", "type", "description", "status", "groups"];
const POLICY_FIELDS = ["name", "description", "mode", "audit", "expiresAt"];
const RULE_FIELDS = ["effect", "principals", "resources", "actions", "conditions"];

/** The whole installation as `runlayer apply` takes it. Secrets are references to variables whose names are proposed. */
export async function exportConfiguration(call: Call): Promise<Fields> {
  const members = await all(call, "list_members");
  const emailOf = (owner: z.output<typeof Owner>) => members.find(({ id }) => id === owner?.id)?.["email"] ?? null;
  const servers = [];
  for (const { id } of await all(call, "list_mcp_servers")) {
    const server = Server.parse((await call("get_mcp_server", { id }))["server"]);
    servers.push({ ...pick(server, SERVER_FIELDS), ...owned(emailOf(server.owner)), ...secretsOf(server) });
  }
  const agents = (await all(call, "list_agents")).map((row) => {
    const agent = Agent.parse(row);
    const assigned = agent.servers.map(({ server, ...limits }) =>
      Object.keys(limits).length === 0 ? server.name : { server: server.name, ...limits },
    );
    return {
      ...pick(agent, AGENT_FIELDS),
      ...owned(emailOf(agent.owner)),
      servers: assigned,
      ...skillsOf(agent.skills),
    };
  });
  const policies = (await all(call, "list_policies")).map((row) => {
    const policy = Policy.parse(row);
    const isText = Object.keys(policy.principals).length === 0;
    return { ...pick(policy, POLICY_FIELDS), ...pick(policy, isText ? ["cedar"] : RULE_FIELDS) };
  });
  const { settings } = z
    .looseObject({ settings: z.looseObject({}) })
    .parse((await call("get_organization", {}))["organization"]);
  const groups = (await all(call, "list_groups")).map((group) => group["name"]);
  const { notifications: _, ...plain } = settings;
  return { settings: plain, groups, servers, agents, policies };
}

async function all(call: Call, name: string) {
  const items: z.output<typeof Page>["items"] = [];
  const read = async (cursor: string | undefined) => Page.parse(await call(name, { limit: PAGE_ROWS, cursor }));
  for await (const page of allPages(read)) items.push(...page.items);
  return items;
}

/** What a server knows only in secret becomes a reference: the export holds none. */
function secretsOf({ name, credential, headers, env, args }: z.output<typeof Server>): Fields {
  const isMasked = args?.some((argument) => argument.includes("***")) ?? true;
  return {
    ...(isMasked ? {} : { args }),
    ...(Object.keys(headers).length === 0 ? {} : { headers: referencesTo(Object.keys(headers), name) }),
    ...(Object.keys(env).length === 0 ? {} : { env: referencesTo(Object.keys(env), name) }),
    credential: toCredential(name, credential),
  };
}

function toCredential(server: string, { type, names = [], tokenUrl }: z.output<typeof Server>["credential"]): Fields {
  const secret = (word: string) => ({ $env: variableOf(server, word) });
  const forms: Readonly<Record<string, Fields>> = {
    bearer: { token: secret("token") },
    header: { name: names[0], value: secret("value") },
    basic: { username: secret("username"), password: secret("password") },
    "oauth-client-credentials": { tokenUrl, clientId: secret("client_id"), clientSecret: secret("client_secret") },
    env: { values: referencesTo(names, server) },
  };
  return { type, ...forms[type] };
}

function referencesTo(names: readonly string[], server: string): Fields {
  return Object.fromEntries(names.map((name) => [name, { $env: variableOf(server, name) }]));
}

function variableOf(server: string, word: string): string {
  return `${server}_${word}`.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
}

function skillsOf(skills: z.output<typeof Agent>["skills"]): Fields {
  if (skills === null) return {};
  return { skills: skills.map(({ name, version }) => (version === undefined ? name : { skill: name, version })) };
}

function owned(email: unknown): Fields {
  return email === null ? {} : { owner: email };
}

function pick(fields: Fields, names: readonly string[]): Fields {
  const picked = names.map((name) => [name, fields[name]] as const);
  return Object.fromEntries(picked.filter(([, value]) => value !== undefined && value !== null));
}
