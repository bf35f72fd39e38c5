import type { Finding, FindingFix } from "../../domain/finding.ts";
import type { ScanCoverage } from "../../domain/scan.ts";
import { isBelow } from "../../sweep/is-below.ts";
import type { Observation } from "../../sweep/finding.ts";

/** One rule that held once, and the place that must be read again to say that it no longer does. */
export interface PlacedObservation extends Omit<Observation, "fix"> {
  readonly place: string;
  readonly fix: FindingFix;
  /** The registered server that it is about, where that is known. */
  readonly serverId?: string | undefined;
}

export interface ScanCounts {
  readonly configs: number;
  readonly servers: number;
  readonly skills: number;
  readonly agents: number;
  readonly devices: number;
}

/** What one target told. */
export interface Sightings {
  readonly observations: readonly PlacedObservation[];
  /** Places that were read in full. */
  readonly read: readonly string[];
  /** Files and folders inside them that could not be read: what was seen there stays. */
  readonly unread: readonly { readonly place: string; readonly path: string }[];
  readonly coverage: readonly ScanCoverage[];
  readonly counts: ScanCounts;
}

export const NO_COUNTS: ScanCounts = { configs: 0, servers: 0, skills: 0, agents: 0, devices: 0 };

export function mergeSightings(parts: readonly Sightings[]): Sightings {
  const sum = (pick: (counts: ScanCounts) => number): number =>
    parts.reduce((total, { counts }) => total + pick(counts), 0);
  return {
    observations: parts.flatMap(({ observations }) => observations),
    read: parts.flatMap(({ read }) => read),
    unread: parts.flatMap(({ unread }) => unread),
    coverage: parts.flatMap(({ coverage }) => coverage),
    counts: {
      configs: sum(({ configs }) => configs),
      servers: sum(({ servers }) => servers),
      skills: sum(({ skills }) => skills),
      agents: sum(({ agents }) => agents),
      devices: sum(({ devices }) => devices),
    },
  };
}

/** A target that told nothing, and why. */
export function unreadTarget(target: ScanCoverage["target"], place: string, reason: string): Sightings {
  const coverage: ScanCoverage[] = [{ target, place, status: "skipped", reason }];
  return { observations: [], read: [], unread: [], coverage, counts: NO_COUNTS };
}

/** Whether the scan looked where this instance was and would have seen it. */
export type ReadTest = (instance: Pick<Finding["instances"][number], "place" | "path">) => boolean;

export function createReadTest(sightings: Pick<Sightings, "read" | "unread">): ReadTest {
  const read = new Set(sightings.read);
  const unread = Map.groupBy(sightings.unread, ({ place }) => place);
  return ({ place, path }) => {
    if (!read.has(place)) return false;
    if (path === undefined) return true;
    return !(unread.get(place) ?? []).some((gap) => path === gap.path || isBelow(path, gap.path));
  };
}
