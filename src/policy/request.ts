import type { Action } from "../domain/policy.ts";
import type { EntityFacts } from "./environment.ts";
import { type Circumstances, toContext } from "./request-context.ts";
import { NAMESPACE } from "./schema.ts";
import { type CedarRecord, entityKey, entityUid, type EntityUid, type Value } from "./value.ts";

/** Who asks: the agent's entity, those it refers to, and the keys of everything it is or is below. */
export interface Subject {
  readonly entities: readonly EntityFacts[];
  readonly uid: EntityUid;
  readonly keys: readonly string[];
}

/** What is asked for, in the same form. */
export interface Target extends Subject {
  /** It is kept and asked for again: what policies say of it may be kept with it. */
  readonly isLasting: boolean;
}

export interface PolicyRequest {
  readonly subject: Subject;
  readonly action: EntityUid;
  readonly target: Target;
  readonly context: CedarRecord;
  readonly nowMs: number;
}

interface MemberFacts {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly groups: readonly string[];
}

export interface SubjectFacts {
  readonly agent: {
    readonly id: string;
    readonly name: string;
    readonly type: string;
    readonly groups: readonly string[];
  };
  /** The agent's owner, or the member in its token. */
  readonly member?: MemberFacts | undefined;
}

interface ServerFacts {
  readonly id: string;
  readonly name: string;
  readonly groups: readonly string[];
}

export type TargetFacts =
  | { readonly kind: "server"; readonly server: ServerFacts }
  | {
      readonly kind: "tool";
      readonly server: ServerFacts;
      readonly name: string;
      /** From the pinned definition; leave out what it does not say. */
      readonly destructive?: boolean | undefined;
      readonly readOnly?: boolean | undefined;
    }
  | { readonly kind: "resource"; readonly server: ServerFacts; readonly uri: string }
  | { readonly kind: "prompt"; readonly server: ServerFacts; readonly name: string }
  | { readonly kind: "skill"; readonly id: string; readonly name: string };

/** Prepares who asks; keep it with the agent, it is the same for every message until the agent or member changes. */
export function createSubject({ agent, member }: SubjectFacts): Subject {
  const uid = runlayerEntity("Agent", agent.id);
  const parents = [
    runlayerEntity("AgentType", agent.type).key,
    ...agent.groups.map((group) => runlayerEntity("Group", group).key),
  ];
  if (member === undefined) {
    return withKeys([{ uid, ancestors: new Set(parents), attributes: agentAttributes(agent) }]);
  }
  const memberUid = runlayerEntity("Member", member.id);
  const memberParents = [
    runlayerEntity("Role", member.role).key,
    ...member.groups.map((group) => runlayerEntity("Group", group).key),
  ];
  return withKeys([
    {
      uid,
      ancestors: new Set([...parents, memberUid.key, ...memberParents]),
      attributes: agentAttributes(agent).set("member", memberUid),
    },
    { uid: memberUid, ancestors: new Set(memberParents), attributes: new Map([["email", member.email]]) },
  ]);
}

/** Prepares what is asked for. Where it is kept, with the pinned tool, it MUST be marked as lasting: it is the same for every call. */
export function createTarget(facts: TargetFacts): Target {
  return { ...withKeys(targetEntities(facts)), isLasting: false };
}

function targetEntities(facts: TargetFacts): readonly [EntityFacts, ...EntityFacts[]] {
  if (facts.kind === "skill") {
    const uid = runlayerEntity("Skill", facts.id);
    return [{ uid, ancestors: new Set(), attributes: new Map([["name", facts.name]]) }];
  }
  const server = serverEntity(facts.server);
  if (facts.kind === "server") return [server];
  const ancestors = new Set([server.uid.key, ...server.ancestors]);
  const attributes = itemAttributes(facts).set("server", server.uid);
  return [{ uid: itemUid(facts), ancestors, attributes }, server];
}

/** The request for one decision. Nothing is copied: `circumstances.args` is read when a policy reads it. */
export function createPolicyRequest(
  { subject, target }: { readonly subject: Subject; readonly target: Target },
  action: Action,
  circumstances: Circumstances,
): PolicyRequest {
  return { subject, target, action: actionUid(action), context: toContext(circumstances), nowMs: circumstances.nowMs };
}

/** An entity of our schema. */
export function runlayerEntity(type: string, id: string): EntityUid {
  return entityUid(`${NAMESPACE}::${type}`, id);
}

function actionUid(action: Action): EntityUid {
  return runlayerEntity("Action", action);
}

function withKeys(entities: readonly [EntityFacts, ...EntityFacts[]]): Subject {
  const [own] = entities;
  return { entities, uid: own.uid, keys: [own.uid.key, ...own.ancestors] };
}

function agentAttributes(agent: SubjectFacts["agent"]): Map<string, Value> {
  return new Map<string, Value>([
    ["name", agent.name],
    ["type", agent.type],
  ]);
}

function serverEntity({ id, name, groups }: ServerFacts): EntityFacts {
  const ancestors = new Set(groups.map((group) => entityKey(`${NAMESPACE}::ServerGroup`, group)));
  return { uid: runlayerEntity("Server", id), ancestors, attributes: new Map([["name", name]]) };
}

type ItemFacts = Extract<TargetFacts, { kind: "tool" | "resource" | "prompt" }>;

function itemUid(facts: ItemFacts): EntityUid {
  if (facts.kind === "resource") return runlayerEntity("Resource", `${facts.server.id}/${facts.uri}`);
  return runlayerEntity(facts.kind === "tool" ? "Tool" : "Prompt", `${facts.server.id}/${facts.name}`);
}

function itemAttributes(facts: ItemFacts): Map<string, Value> {
  if (facts.kind === "resource") return new Map([["uri", facts.uri]]);
  if (facts.kind === "prompt") return new Map([["name", facts.name]]);
  const readOnly = facts.readOnly ?? false;
  return new Map<string, Value>([
    ["name", facts.name],
    // MCP: `destructiveHint` is meaningful only for tools that are not read-only, and true when it is absent.
    ["destructive", facts.destructive ?? !readOnly],
    ["readOnly", readOnly],
  ]);
}
