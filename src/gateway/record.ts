import { createHash } from "node:crypto";
import type { Agent } from "../domain/agent.ts";
import type { Actor, DecisionDraft, ResourceRef } from "../domain/audit-event.ts";
import type { AuditPayloads } from "../domain/organization.ts";
import type { Server } from "../domain/server.ts";
import { newId } from "../lib/ids.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { cutText } from "../guard/cut-text.ts";
import { redactJson } from "../guard/redact-json.ts";
import { JsonText } from "../lib/json-text.ts";
import { quoteLostNumbers } from "../lib/lost-numbers.ts";
import type { Caller, DecidingPolicy, Decision, Target } from "./decide.ts";

/** Arguments beyond this are recorded by their digest only: the log is no place for files. */
const PAYLOAD_BYTES_MAX = 16 * 1024;
const REDACTED_TEXT_MAX = 256;
const NAME_CHARACTERS_MAX = 512;

export interface Subject {
  readonly snapshot: Snapshot;
  readonly agent: Agent;
  readonly server: Server | undefined;
  readonly ip: string | undefined;
  readonly client: string | undefined;
}

export interface DraftFacts {
  readonly event: string;
  readonly time: number;
  readonly target?: Target | undefined;
  readonly sessionId?: string | undefined;
  readonly policies?: readonly DecidingPolicy[] | undefined;
  /** Of the call that this one belongs to; without it, the event begins its own. */
  readonly correlationId?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export function subjectOf(caller: Caller): Subject {
  const { snapshot, ip, client } = caller;
  return { snapshot, agent: caller.agent.agent, server: caller.server.server, ip, client };
}

/** The event of a message before its outcome. */
export function toDraft(subject: Subject, facts: DraftFacts): DecisionDraft {
  const id = newId();
  return {
    id,
    time: facts.time,
    actor: toActor(subject),
    action: facts.event,
    resource: toResource(subject.server, facts.target),
    policies: facts.policies?.length === 0 ? undefined : facts.policies,
    correlationId: facts.correlationId ?? id,
    sessionId: facts.sessionId,
    details: { ...targetDetails(subject.server, facts.target), ...facts.details },
  };
}

/** The policies that matched without deciding, for the counts; nothing where there are none. */
export function matchDetails({ alsoMatched = [] }: Decision): Readonly<Record<string, unknown>> {
  return alsoMatched.length === 0 ? {} : { alsoMatched };
}

/** A call's arguments: their JSON as sent, and as a value, which MUST NOT be changed. */
interface Payload {
  readonly bytes: Buffer;
  readonly value: () => unknown;
  /** Longer texts are cut, unless `auditPayloads` is `full`. */
  readonly textCharactersMax?: number | undefined;
}

/**
 * What the log keeps of a call's arguments: a JSON value, or its text. Secrets are masked in every form; numbers that the log could
 * not hold as they were sent are kept as text.
 */
export function toPayload(
  { bytes, value, textCharactersMax = REDACTED_TEXT_MAX }: Payload,
  setting: AuditPayloads,
  maskSecrets: (value: unknown) => unknown,
): Record<string, unknown> {
  if (setting === "none") return {};
  if (setting === "digest" || bytes.length > PAYLOAD_BYTES_MAX) {
    const argumentsDigest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    return { argumentsDigest, argumentsBytes: bytes.length };
  }
  const cutAt = setting === "full" ? Infinity : textCharactersMax;
  const sent = bytes.toString("utf8");
  const json = quoteLostNumbers(sent);
  let isAltered = json !== sent;
  const redacted = redactJson(json, cutAt);
  if (redacted !== undefined) return toArguments(new JsonText(redacted.text), isAltered || redacted.isCut);
  const given: unknown = isAltered ? JSON.parse(json) : value();
  const masked = maskSecrets(given);
  isAltered ||= masked !== given;
  const kept = cutAt === Infinity ? masked : shorten(masked, cutAt, () => (isAltered = true));
  return toArguments(kept, isAltered);
}

/** A replay must know when these are not the arguments that were decided. */
function toArguments(kept: unknown, isAltered: boolean): Record<string, unknown> {
  return isAltered ? { arguments: kept, argumentsAltered: true } : { arguments: kept };
}

function shorten(value: unknown, cutAt: number, onCut: () => void): unknown {
  if (typeof value === "string") {
    if (value.length <= cutAt) return value;
    onCut();
    return cutText(value, cutAt);
  }
  if (Array.isArray(value)) return value.map((item) => shorten(item, cutAt, onCut));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shorten(member, cutAt, onCut)]));
}

/** The agent as the log names it, with the member that it acts for. */
export function toActor({ snapshot, agent, ip, client }: Omit<Subject, "server">): Actor {
  const owner = agent.owner === null ? undefined : snapshot.memberById.get(agent.owner);
  // Members in the order of the alphabet, as in what follows, spare the thread that seals events the sorting.
  return {
    client,
    id: agent.id,
    ip,
    name: agent.name,
    onBehalfOf: owner === undefined ? undefined : { id: owner.id, name: owner.name },
    type: "agent",
  };
}

function toResource(server: Server | undefined, target: Target | undefined): ResourceRef {
  // A server that is not there, or not any more: what was asked of it keeps its own kind.
  if (server === undefined) return { id: "", name: bounded(target?.name ?? ""), type: target?.type ?? "server" };
  if (target === undefined || target.type === "server") return { id: server.id, name: server.name, type: "server" };
  const name = bounded(target.name);
  return { id: `${server.id}/${name}`, name: `${server.name}/${name}`, type: target.type };
}

function targetDetails(server: Server | undefined, target: Target | undefined): Record<string, unknown> {
  const details = server === undefined ? {} : { server: { id: server.id, name: server.name } };
  if (target === undefined || target.type === "server") return details;
  return { ...details, [target.type === "resource" ? "uri" : target.type]: bounded(target.name) };
}

function bounded(name: string): string {
  return name.slice(0, NAME_CHARACTERS_MAX).toWellFormed();
}
