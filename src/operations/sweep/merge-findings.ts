import type { Finding, FindingChange, FindingInstance } from "../../domain/finding.ts";
import { aggregate } from "../../sweep/finding.ts";
import { createReadTest, type PlacedObservation, type Sightings } from "./sightings.ts";

/** A finding after a scan, and what the scan said of it. `isNewRow`: it was not stored before. */
export interface MergedFinding {
  readonly finding: Finding;
  /** Undefined where the scan did not look at any of its places. */
  readonly change: FindingChange | undefined;
  readonly isNewRow: boolean;
}

interface MergeOptions {
  readonly now: number;
  readonly newId: () => string;
  /** The registered server with this identity. */
  readonly serverIdOf: (identity: string) => string | undefined;
}

const INSTANCES_MAX = 1000;

/** Brings what is stored and what was seen together. The same sightings twice: nothing new, nothing resolved. */
export function mergeFindings(
  stored: readonly Finding[],
  sightings: Sightings,
  options: MergeOptions,
): readonly MergedFinding[] {
  const isRead = createReadTest(sightings);
  const seen = seenFindings(sightings.observations, options);
  const byKey = new Map(stored.map((finding) => [finding.key, finding]));
  const merged = [...seen].map(([key, found]) => mergeSeen(byKey.get(key), found, { isRead, ...options }));
  const unseen = stored.filter(({ key, status }) => !seen.has(key) && status !== "resolved");
  return [...merged, ...unseen.map((finding) => mergeUnseen(finding, isRead, options.now))];
}

type SeenFinding = Omit<
  Finding,
  "id" | "status" | "handling" | "firstSeenAt" | "lastSeenAt" | "resolvedAt" | "version"
>;
type IsRead = ReturnType<typeof createReadTest>;

function seenFindings(
  observations: readonly PlacedObservation[],
  { serverIdOf }: MergeOptions,
): ReadonlyMap<string, SeenFinding> {
  const places = Map.groupBy(observations, ({ code, identity }) => `${code}\0${identity}`);
  const found = aggregate(observations.map(({ fix: _fix, ...rest }) => ({ ...rest, fix: { kind: "review" } })));
  return new Map(
    found.map((finding) => {
      const group = places.get(`${finding.code}\0${finding.identity}`) ?? [];
      const { fix, serverId } = group.find((one) => one.fix.kind !== "review") ??
        group[0] ?? { fix: { kind: "review" } };
      const { score: _score, ...rest } = finding;
      return [
        finding.key,
        {
          ...rest,
          fix,
          serverId: serverId ?? serverIdOf(finding.identity) ?? null,
          instances: unique(group.map(({ place, instance }) => ({ place, ...instance }))),
          places: [...new Set(group.map(({ place }) => place))],
        },
      ];
    }),
  );
}

function mergeSeen(
  before: Finding | undefined,
  seen: SeenFinding,
  { isRead, now, newId }: MergeOptions & { readonly isRead: IsRead },
): MergedFinding {
  if (before === undefined) {
    const life = { status: "open", handling: null, firstSeenAt: now, lastSeenAt: now, resolvedAt: null } as const;
    return {
      finding: { ...withInstances(seen, seen.instances, seen.places), ...life, id: newId(), version: 1 },
      change: "new",
      isNewRow: true,
    };
  }
  const isBack = before.status === "resolved";
  const kept = isBack ? [] : before.instances.filter((instance) => !isRead(instance));
  const keptPlaces = isBack ? [] : before.places.filter((place) => !isRead({ place }));
  const finding: Finding = {
    ...before,
    ...withInstances(seen, [...seen.instances, ...kept], keptPlaces),
    // What one scan cannot tell, an earlier one may have: that it can be registered as it was probed.
    fix: seen.fix.kind === "review" && kept.length > 0 ? before.fix : seen.fix,
    serverId: seen.serverId ?? before.serverId,
    status: isBack ? "open" : before.status,
    handling: isBack ? null : before.handling,
    lastSeenAt: now,
    resolvedAt: null,
  };
  return { finding, change: isBack ? "new" : "seen", isNewRow: false };
}

function mergeUnseen(before: Finding, isRead: IsRead, now: number): MergedFinding {
  const kept = before.instances.filter((instance) => !isRead(instance));
  const keptPlaces = before.places.filter((place) => !isRead({ place }));
  if (kept.length === 0 && keptPlaces.length === 0) {
    return { finding: { ...before, status: "resolved", resolvedAt: now }, change: "resolved", isNewRow: false };
  }
  return { finding: { ...before, ...withInstances(before, kept, keptPlaces) }, change: undefined, isNewRow: false };
}

function withInstances<Base extends Pick<Finding, "instances" | "places" | "devices" | "users">>(
  base: Base,
  instances: readonly FindingInstance[],
  otherPlaces: readonly string[],
): Base {
  const all = unique(instances);
  const count = (pick: (instance: FindingInstance) => string | undefined): number =>
    new Set(all.flatMap((instance) => pick(instance) ?? [])).size;
  return {
    ...base,
    instances: all,
    places: [...new Set([...all.map(({ place }) => place), ...otherPlaces])],
    devices: count(({ device }) => device),
    users: count(({ user }) => user),
  };
}

function unique(instances: readonly FindingInstance[]): FindingInstance[] {
  const byText = new Map(
    instances.map((instance) => {
      const { place, device, user, client, path, line, isRunning } = instance;
      return [JSON.stringify([place, device, user, client, path, line, isRunning]), instance];
    }),
  );
  return [...byText.values()].slice(0, INSTANCES_MAX);
}
