import type { FindingInstance } from "../../domain/finding.ts";
import { findingKey, SEVERITIES } from "../../sweep/finding.ts";
import { mergeSightings, type PlacedObservation, type Sightings } from "./sightings.ts";

/** One code and identity, wherever it was seen. */
export interface SeenGroup {
  /** The worst, the first of several: it stands for all. */
  readonly observation: PlacedObservation;
  /** The first ones, enough to show. */
  readonly instances: readonly FindingInstance[];
  /** Of all instances. */
  readonly places: readonly string[];
  readonly users: number;
}

/** What many places told: the observations grouped by the key of the finding that they make. */
export interface TalliedSightings extends Omit<Sightings, "observations"> {
  readonly groups: ReadonlyMap<string, SeenGroup>;
}

export interface Tally {
  add(part: Sightings): void;
  readonly total: TalliedSightings;
}

/** How many instances a finding lists; its places are complete. */
export const INSTANCES_MAX = 1000;

interface GrowingGroup extends SeenGroup {
  observation: PlacedObservation;
  readonly instances: FindingInstance[];
  readonly places: string[];
  readonly userNames: Set<string>;
}

/**
 * Adds up sightings as they come, so that a part can be forgotten once it is added: of ten thousand devices only where each finding
 * was seen stays in memory. The observations of one place MUST come in one part.
 */
export function createTally(): Tally {
  const groups = new Map<string, GrowingGroup>();
  const rest: Sightings[] = [];
  return {
    add(part) {
      for (const observation of part.observations) addObservation(groups, observation);
      rest.push({ ...part, observations: [] });
    },
    get total() {
      const { observations: _none, ...merged } = mergeSightings(rest);
      return { ...merged, groups };
    },
  };
}

function addObservation(groups: Map<string, GrowingGroup>, observation: PlacedObservation): void {
  const key = findingKey(observation.code, observation.identity);
  const group = groups.get(key);
  if (group === undefined) {
    groups.set(key, startGroup(observation));
    return;
  }
  group.observation = standIn(group.observation, observation);
  addInstance(group, observation);
}

function startGroup(observation: PlacedObservation): GrowingGroup {
  const userNames = new Set<string>();
  const group = {
    observation,
    instances: [],
    places: [],
    userNames,
    get users() {
      return userNames.size;
    },
  };
  addInstance(group, observation);
  return group;
}

/** The worse of both, with what one of them knows: a fix, and the server that it is about. */
function standIn(known: PlacedObservation, next: PlacedObservation): PlacedObservation {
  const isWorse = SEVERITIES.indexOf(next.severity) < SEVERITIES.indexOf(known.severity);
  const knowsFix = known.fix.kind === "review" && next.fix.kind !== "review";
  if (!isWorse && !knowsFix) return known;
  const { fix, serverId } = knowsFix ? next : known;
  return { ...(isWorse ? next : known), fix, serverId };
}

function addInstance({ instances, places, userNames }: GrowingGroup, { place, instance }: PlacedObservation): void {
  if (places.at(-1) !== place) places.push(place);
  if (instance.user !== undefined) userNames.add(instance.user);
  if (instances.length >= INSTANCES_MAX) return;
  const { device, user, client, path, line, isRunning, pid, port, container } = instance;
  const next = { place, device, user, client, path, line, isRunning, pid, port, container };
  if (!isListed(instances, next)) instances.push(next);
}

/** Only among those of the same place, which come one after another, can the same one be. */
function isListed(instances: readonly FindingInstance[], next: FindingInstance): boolean {
  for (let index = instances.length - 1; index >= 0; index -= 1) {
    const known = instances[index];
    if (known?.place !== next.place) return false;
    if (isSame(known, next)) return true;
  }
  return false;
}

function isSame(left: FindingInstance, right: FindingInstance): boolean {
  return (
    left.path === right.path &&
    left.line === right.line &&
    left.client === right.client &&
    left.user === right.user &&
    left.device === right.device &&
    left.isRunning === right.isRunning &&
    left.pid === right.pid &&
    left.port === right.port
  );
}
