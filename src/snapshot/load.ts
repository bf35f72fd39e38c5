import type { Agent, Assignment } from "../domain/agent.ts";
import type { ApiKey } from "../domain/api-key.ts";
import type { Group, Member } from "../domain/member.ts";
import type { Organization } from "../domain/organization.ts";
import { parseServerSecrets } from "../domain/server-secrets.ts";
import type { Server, ServerSecrets, ServerTool } from "../domain/server.ts";
import type { Skill, SkillVersion } from "../domain/skill.ts";
import { compileGlobs, type GlobMatcher } from "../lib/glob.ts";
import type { Page, PageRequest } from "../lib/paging.ts";
import type { CompiledPolicy } from "../policy/compiled-policy.ts";
import { createPolicyIndex, type PolicyIndex, withPolicy, withoutPolicy } from "../policy/policy-index.ts";
import { toCompiledPolicy } from "../policy/stored-policy.ts";
import type { Change, Repositories } from "../store/ports.ts";
import type { Vault } from "../vault/vault.ts";
import type { AgentView, AssignmentView, ServerView, SkillView } from "./snapshot.ts";

/** A snapshot under construction. It becomes immutable when it is published. */
export interface MutableSnapshot {
  revision: number;
  isBehind: boolean;
  organization: Organization;
  keyByHash: Map<string, ApiKey>;
  keyById: Map<string, ApiKey>;
  agentById: Map<string, AgentView>;
  serverById: Map<string, ServerView>;
  serverIdByName: Map<string, string>;
  skillById: Map<string, SkillView>;
  skillIdByName: Map<string, string>;
  memberById: Map<string, Member>;
  groupById: Map<string, Group>;
  policies: PolicyIndex;
}

interface Sources {
  readonly repositories: Repositories;
  readonly vault: Vault;
}

const PAGE_ROWS = 200;
/** Only a filter by status looks at the time, and loading takes keys of every status. */
const ANY_TIME = 0;

/** The whole view from the database, at start. */
export async function loadAll({ repositories, vault }: Sources): Promise<MutableSnapshot> {
  const snapshot: MutableSnapshot = {
    revision: 1,
    isBehind: false,
    organization: await repositories.organization.get(),
    keyByHash: new Map(),
    keyById: new Map(),
    agentById: new Map(),
    serverById: new Map(),
    serverIdByName: new Map(),
    skillById: new Map(),
    skillIdByName: new Map(),
    memberById: new Map(),
    groupById: new Map(),
    policies: await loadPolicies(repositories),
  };
  await eachRow(
    (page) => repositories.apiKeys.list({ now: ANY_TIME }, page),
    (key) => setKey(snapshot, key),
  );
  await eachRow(
    (page) => repositories.members.list({}, page),
    (member) => snapshot.memberById.set(member.id, member),
  );
  await eachRow(
    (page) => repositories.groups.list(undefined, page),
    (group) => snapshot.groupById.set(group.id, group),
  );
  const servers: Server[] = [];
  await eachRow(
    (page) => repositories.servers.list({}, page),
    (server) => servers.push(server),
  );
  for (const server of servers)
    setServer(snapshot, toServerView(server, await repositories.servers.knownTools(server.id), vault));
  const skills: Skill[] = [];
  await eachRow(
    (page) => repositories.skills.list({}, page),
    (skill) => skills.push(skill),
  );
  for (const skill of skills) setSkill(snapshot, await toSkillView(skill, repositories));
  const agents: Agent[] = [];
  await eachRow(
    (page) => repositories.agents.list({}, page),
    (agent) => agents.push(agent),
  );
  for (const agent of agents) await setAgent(snapshot, agent, repositories);
  return snapshot;
}

/** Brings one object of the view up to date: reloads it, or drops it where it is gone. */
export async function reload(next: MutableSnapshot, { kind, id }: Change, sources: Sources): Promise<void> {
  const reloaders: Partial<Record<Change["kind"], () => Promise<void>>> = {
    organization: async () => {
      next.organization = await sources.repositories.organization.get();
    },
    apiKey: () => reloadKey(next, id, sources),
    agent: () => reloadAgent(next, id, sources),
    server: () => reloadServer(next, id, sources),
    skill: () => reloadSkill(next, id, sources),
    member: async () => setOrDelete(next.memberById, id, await sources.repositories.members.find(id)),
    group: async () => setOrDelete(next.groupById, id, await sources.repositories.groups.find(id)),
    policy: () => reloadPolicy(next, id, sources),
  };
  await reloaders[kind]?.();
}

async function reloadKey(next: MutableSnapshot, id: string, { repositories }: Sources): Promise<void> {
  const key = await repositories.apiKeys.find(id);
  if (key !== undefined) setKey(next, key);
}

async function reloadAgent(next: MutableSnapshot, id: string, { repositories }: Sources): Promise<void> {
  const agent = await repositories.agents.find(id);
  if (agent === undefined) next.agentById.delete(id);
  else await setAgent(next, agent, repositories);
}

async function reloadServer(next: MutableSnapshot, id: string, { repositories, vault }: Sources): Promise<void> {
  const previous = next.serverById.get(id);
  if (previous !== undefined) deleteName(next.serverIdByName, previous.server.name, id);
  const server = await repositories.servers.find(id);
  if (server === undefined) next.serverById.delete(id);
  else setServer(next, toServerView(server, await repositories.servers.knownTools(id), vault));
}

async function loadPolicies(repositories: Repositories): Promise<PolicyIndex> {
  const compiled: CompiledPolicy[] = [];
  await eachRow(
    (page) => repositories.policies.list({}, page),
    (policy) => compiled.push(toCompiledPolicy(policy)),
  );
  return createPolicyIndex(compiled);
}

/** Compiles the one policy that changed; the others stay as they are. */
async function reloadPolicy(next: MutableSnapshot, id: string, { repositories }: Sources): Promise<void> {
  const policy = await repositories.policies.find(id);
  next.policies =
    policy === undefined ? withoutPolicy(next.policies, id) : withPolicy(next.policies, toCompiledPolicy(policy));
}

async function reloadSkill(next: MutableSnapshot, id: string, { repositories }: Sources): Promise<void> {
  const previous = next.skillById.get(id);
  if (previous !== undefined) deleteName(next.skillIdByName, previous.skill.name, id);
  const skill = await repositories.skills.find(id);
  if (skill === undefined) next.skillById.delete(id);
  else setSkill(next, await toSkillView(skill, repositories));
}

async function toSkillView(skill: Skill, { skills }: Repositories): Promise<SkillView> {
  const { id, servingVersion } = skill;
  return { skill, serving: servingVersion === null ? undefined : await skills.getVersion(id, servingVersion) };
}

function setSkill(snapshot: MutableSnapshot, view: SkillView): void {
  snapshot.skillById.set(view.skill.id, view);
  snapshot.skillIdByName.set(view.skill.name, view.skill.id);
}

function setKey(snapshot: MutableSnapshot, key: ApiKey): void {
  snapshot.keyByHash.set(key.hash, key);
  snapshot.keyById.set(key.id, key);
}

async function setAgent(snapshot: MutableSnapshot, agent: Agent, repositories: Repositories): Promise<void> {
  const views = agent.assignments.map((assignment) => [assignment.serverId, toAssignmentView(assignment)] as const);
  const pinBySkillId = await loadPins(snapshot, agent, repositories);
  snapshot.agentById.set(agent.id, { agent, assignmentByServerId: new Map(views), pinBySkillId });
}

/** A version can be large: agents with the same pin share it. */
async function loadPins(
  snapshot: MutableSnapshot,
  { skills }: Agent,
  repositories: Repositories,
): Promise<ReadonlyMap<string, SkillVersion>> {
  const pins = new Map<string, SkillVersion>();
  for (const { id, version } of skills ?? [])
    if (version !== null)
      pins.set(id, findLoaded(snapshot, id, version) ?? (await repositories.skills.getVersion(id, version)));
  return pins;
}

function findLoaded({ skillById, agentById }: MutableSnapshot, id: string, version: number): SkillVersion | undefined {
  const serving = skillById.get(id)?.serving;
  if (serving?.version === version) return serving;
  for (const { pinBySkillId } of agentById.values()) {
    const pinned = pinBySkillId.get(id);
    if (pinned?.version === version) return pinned;
  }
  return undefined;
}

function setServer(snapshot: MutableSnapshot, view: ServerView): void {
  snapshot.serverById.set(view.server.id, view);
  snapshot.serverIdByName.set(view.server.name, view.server.id);
}

/** Of objects that are reloaded together one may have taken the name that another one had. */
function deleteName(idByName: Map<string, string>, name: string, id: string): void {
  if (idByName.get(name) === id) idByName.delete(name);
}

function setOrDelete<V>(map: Map<string, V>, id: string, value: V | undefined): void {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

function toAssignmentView(assignment: Assignment): AssignmentView {
  return {
    assignment,
    isToolAssigned: compileList(assignment.tools),
    isResourceAssigned: compileList(assignment.resources),
    isPromptAssigned: compileList(assignment.prompts),
  };
}

/** An unset list allows all of its kind, an empty one none. */
function compileList(globs: readonly string[] | null): GlobMatcher {
  return compileGlobs(globs ?? ["*"]);
}

function toServerView(server: Server, tools: readonly ServerTool[], vault: Vault): ServerView {
  let opened: ServerSecrets | undefined;
  const context = { table: "servers", id: server.id, version: server.secretsVersion };
  return {
    server,
    toolByName: new Map(tools.flatMap((tool) => (tool.absentSince === null ? [[tool.name, tool]] : []))),
    absentTools: tools.filter(({ absentSince }) => absentSince !== null),
    secrets: () => (opened ??= parseServerSecrets(vault.open(server.sealedSecrets, context))),
  };
}

async function eachRow<T>(list: (page: PageRequest) => Promise<Page<T>>, visit: (row: T) => void): Promise<void> {
  let after: string | undefined;
  do {
    const page = await list({ limit: PAGE_ROWS, after });
    page.items.forEach(visit);
    after = page.next;
  } while (after !== undefined);
}
