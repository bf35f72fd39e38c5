import type { EntityJson } from "@cedar-policy/cedar-wasm/nodejs";
import { argumentKinds } from "../../src/policy/argument-kinds.ts";
import { toCedarArgument } from "../../src/policy/arguments.ts";
import { isJsonObject } from "../../src/policy/json-tree.ts";
import type { EntityFacts } from "../../src/policy/environment.ts";
import { ACTIONS } from "../../src/domain/policy.ts";
import type { PolicyRequest, Subject } from "../../src/policy/request.ts";
import { cedarRecord, entityUid, type EntityUid, isLong, type Result, type Value } from "../../src/policy/value.ts";
import { parseIpRange } from "../../src/policy/ip-range.ts";
import { IDS, type Kind, type KnownPath, LONGS, NAMES, STRINGS, TYPES } from "./policy-expressions.ts";
import type { Random } from "./random.ts";
import { toCedarJson } from "./to-cedar-json.ts";

/** One set of entities for both engines. */
export interface World {
  readonly entities: readonly EntityJson[];
  readonly facts: ReadonlyMap<string, EntityFacts>;
}

export interface FuzzRequest {
  readonly ours: PolicyRequest;
  readonly context: ReturnType<typeof toCedarJson>;
}

/** A hierarchy without cycles: a parent always stands later in the list. Some entities that policies name do not exist. */
export function drawWorld(random: Random): World {
  const uids = TYPES.flatMap((type) => IDS.map((id) => entityUid(type, id))).filter(() => random.chance(0.8));
  const facts = new Map<string, EntityFacts>();
  const entities: EntityJson[] = [];
  for (const [position, uid] of [...uids.entries()].toReversed()) {
    const parents = uids.slice(position + 1).filter(() => random.chance(0.15));
    const ancestors = new Set(parents.flatMap(({ key }) => [key, ...(facts.get(key)?.ancestors ?? [])]));
    const attributes = new Map(random.list(3, () => [random.pick(NAMES), drawAttribute(random, uids)] as const));
    facts.set(uid.key, { uid, ancestors, attributes });
    entities.push({
      uid: { type: uid.type, id: uid.id },
      attrs: Object.fromEntries([...attributes].map(([name, attribute]) => [name, toCedarJson(attribute)])),
      parents: parents.map(({ type, id }) => ({ type, id })),
    });
  }
  return { entities, facts };
}

export function drawRequest(random: Random, world: World): FuzzRequest {
  const args = drawObject(random, 3);
  const ip = parseIpRange(random.pick(["10.0.0.1", "::1", "203.0.113.9"]));
  const members = new Map<string, Value>([
    ["args", toCedarArgument(args)],
    ["kinds", argumentKinds(() => args)],
    ["time", random.below(1440)],
    ["weekday", random.pick(["monday", "sunday"])],
    ["now", { kind: "datetime", ms: 1_700_000_000_000 }],
  ]);
  if (ip.kind === "ip" && random.chance(0.8)) members.set("ip", ip);
  const context = cedarRecord(members);
  const action = entityUid("Runlayer::Action", random.pick(ACTIONS.slice(0, 3)));
  const subject = drawSubject(random, world);
  const target = { ...drawSubject(random, world), isLasting: true };
  return { ours: { subject, target, action, context, nowMs: 0 }, context: toCedarJson(context) };
}

/** Every path into a request's context, for expressions that should find something. */
export function pathsOf({ ours }: FuzzRequest): readonly KnownPath[] {
  const { context } = ours;
  return context.names().flatMap((name) => pathsBelow(context.get(name), [name]));
}

function pathsBelow(value: Result | undefined, path: readonly string[]): readonly KnownPath[] {
  const kind = value === undefined ? undefined : kindOf(value);
  if (kind === undefined) return [];
  const below = typeof value === "object" && value.kind === "record" ? value : undefined;
  const inner = below?.names().flatMap((name) => pathsBelow(below.get(name), [...path, name])) ?? [];
  return [{ path, kind }, ...inner];
}

function kindOf(value: Result): Kind | undefined {
  if (isLong(value)) return "long";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "boolean";
  return value.kind === "failure" || value.kind === "unknown" ? undefined : value.kind;
}

function drawSubject(random: Random, { facts }: World): Subject {
  const uid = entityUid(random.pick(TYPES), random.pick(IDS));
  const own = facts.get(uid.key);
  return { uid, keys: [uid.key, ...(own?.ancestors ?? [])], entities: [...facts.values()] };
}

function drawAttribute(random: Random, uids: readonly EntityUid[]): Value {
  if (random.chance(0.3) && uids.length > 0) return random.pick(uids);
  return toCedarArgument(drawJson(random, 1));
}

function drawObject(random: Random, depth: number): Readonly<Record<string, unknown>> {
  return Object.fromEntries(random.list(4, () => [random.pick(NAMES), drawJson(random, depth - 1)] as const));
}

function drawJson(random: Random, depth: number): unknown {
  const leaf = random.pick<() => unknown>([
    () => random.pick(STRINGS),
    () => random.pick(LONGS),
    () => random.chance(0.5),
    () => random.pick([1.5, -0.25, 99.9999, 0.00001, 1e300, 5e-324, 2 ** 53, 123_456_789.123_4, -0]),
    () => null,
    () => random.pick(["10.0.0.1", "2024-01-01", "1d", "1.5", "::1"]),
  ]);
  if (depth <= 0 || random.chance(0.4)) return leaf();
  return random.chance(0.5) ? drawObject(random, depth) : random.list(3, () => drawJson(random, depth - 1));
}

/** The facts of a request in words, for the report of a difference. */
export function describe({ ours, context }: FuzzRequest): unknown {
  return {
    principal: shortUid(ours.subject.uid),
    action: shortUid(ours.action),
    resource: shortUid(ours.target.uid),
    context: isJsonObject(context) ? context : {},
  };
}

function shortUid({ type, id }: EntityUid): string {
  return `${type}::"${id}"`;
}
