import type { Finding, FindingChange, FindingInstance } from "../../domain/finding.ts";
import { aggregate, SEVERITIES } from "../../sweep/finding.ts";
import { deviceOfPlace } from "./place.ts";
import type { ReadTest } from "./sightings.ts";
import { INSTANCES_MAX, type SeenGroup } from "./tally-sightings.ts";

/** A finding after a scan, and what the scan said of it. */
export interface MergedFinding {
  readonly finding: Finding;
  /** Undefined where the scan did not look at all of its places, and did not see it. */
  readonly change: FindingChange | undefined;
  /** What is to be stored: a new row, all of it, that it was seen, nothing. */
  readonly write: "insert" | "update" | "touch" | "none";
}

interface MergeOptions {
  readonly isRead: ReadTest;
  readonly now: number;
  readonly newId: () => string;
  /** The registered server with this identity. */
  readonly serverIdOf: (identity: string) => string | undefined;
}

/**
 * Brings together what is stored of one finding and what a scan saw of it; at least one of both MUST be there. The same sightings
 * twice: nothing new, nothing resolved.
 */
export function mergeFinding(
  before: Finding | undefined,
  seen: SeenGroup | undefined,
  options: MergeOptions,
): MergedFinding {
  if (seen !== undefined) return mergeSeen(before, toSeenFinding(seen, options), options);
  if (before === undefined) throw new Error("invariant violated: a finding is stored or seen");
  return mergeUnseen(before, options);
}

type SeenFinding = Omit<
  Finding,
  "id" | "status" | "handling" | "firstSeenAt" | "lastSeenAt" | "resolvedAt" | "version"
>;

function toSeenFinding(
  { observation, instances, places, users }: SeenGroup,
  { serverIdOf }: Pick<MergeOptions, "serverIdOf">,
): SeenFinding {
  const [judged] = aggregate([{ ...observation, fix: { kind: "review" } }]);
  if (judged === undefined) throw new Error("invariant violated: an observation makes a finding");
  const { code, kind, title, severity, confidence, identity, evidence, remediation, fix, serverId } = observation;
  return {
    key: judged.key,
    kind,
    code,
    title,
    severity,
    confidence,
    identity,
    evidence,
    remediation,
    fix,
    frameworks: judged.frameworks,
    serverId: serverId ?? serverIdOf(identity) ?? null,
    ...located(instances, places, users),
  };
}

function mergeSeen(
  before: Finding | undefined,
  seen: SeenFinding,
  { isRead, now, newId }: MergeOptions,
): MergedFinding {
  if (before === undefined) {
    const life = { status: "open", handling: null, firstSeenAt: now, lastSeenAt: now, resolvedAt: null } as const;
    return { finding: { ...seen, ...life, id: newId(), version: 1 }, change: "new", write: "insert" };
  }
  const isBack = before.status === "resolved";
  // A device that did not answer was judged by its old report again: what that shows is no second instance.
  const again = new Set(seen.instances.map(toKey));
  const kept = isBack ? [] : before.instances.filter((instance) => !isRead(instance) && !again.has(toKey(instance)));
  const keptPlaces = isBack ? [] : before.places.filter((place) => !isRead({ place }));
  const finding: Finding = {
    ...before,
    ...seen,
    ...(kept.length + keptPlaces.length > 0 ? worseOf(before, seen) : {}),
    ...located([...seen.instances, ...kept], [...seen.places, ...keptPlaces], seen.users),
    // What one scan cannot tell, an earlier one may have: that it can be registered as it was probed.
    fix: seen.fix.kind === "review" && kept.length > 0 ? before.fix : seen.fix,
    serverId: seen.serverId ?? before.serverId,
    status: isBack ? "open" : before.status,
    handling: isBack ? null : before.handling,
    lastSeenAt: now,
    resolvedAt: null,
  };
  return { finding, change: isBack ? "new" : "seen", write: isSameButSeen(before, finding) ? "touch" : "update" };
}

/** The severity is the worst over all instances: a scan that did not look at all of them can only raise it. */
function worseOf(before: Finding, seen: SeenFinding) {
  const isWorse = SEVERITIES.indexOf(before.severity) < SEVERITIES.indexOf(seen.severity);
  const { title, severity, confidence, evidence, remediation } = isWorse ? before : seen;
  return { title, severity, confidence, evidence, remediation };
}

/** Without process and port: one that was restarted is the same instance, also where only one of its sightings can be new. */
function toKey({ place, device, user, client, path, line, isRunning }: FindingInstance): string {
  return JSON.stringify([place, device, user, client, path, line, isRunning]);
}

function mergeUnseen(before: Finding, { isRead, now }: MergeOptions): MergedFinding {
  const kept = before.instances.filter((instance) => !isRead(instance));
  const keptPlaces = before.places.filter((place) => !isRead({ place }));
  if (kept.length === before.instances.length && keptPlaces.length === before.places.length) {
    return { finding: before, change: undefined, write: "none" };
  }
  if (kept.length === 0 && keptPlaces.length === 0) {
    return { finding: { ...before, status: "resolved", resolvedAt: now }, change: "resolved", write: "update" };
  }
  return { finding: { ...before, ...located(kept, keptPlaces, 0) }, change: undefined, write: "update" };
}

/** Users are counted among the instances that are listed, devices among all places. */
function located(
  instances: readonly FindingInstance[],
  otherPlaces: readonly string[],
  usersAtLeast: number,
): Pick<Finding, "instances" | "places" | "devices" | "users"> {
  const listed = instances.slice(0, INSTANCES_MAX);
  const places = [...new Set([...listed.map(({ place }) => place), ...otherPlaces])];
  const listedDevices = countNames(listed.map(({ device }) => device));
  return {
    instances: listed,
    places,
    devices: Math.max(listedDevices, countNames(places.map(deviceOfPlace))),
    users: Math.max(usersAtLeast, countNames(listed.map(({ user }) => user))),
  };
}

function countNames(names: readonly (string | undefined)[]): number {
  return new Set(names.filter((name) => name !== undefined)).size;
}

function isSameButSeen(before: Finding, after: Finding): boolean {
  return JSON.stringify({ ...before, lastSeenAt: 0 }) === JSON.stringify({ ...after, lastSeenAt: 0 });
}
