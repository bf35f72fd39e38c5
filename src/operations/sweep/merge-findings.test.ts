import { expect, test } from "vitest";
import type { Finding } from "../../domain/finding.ts";
import { mergeFindings } from "./merge-findings.ts";
import { NO_COUNTS, type PlacedObservation, type Sightings } from "./sightings.ts";

let lastId = 0;
const options = (now: number) => ({ now, newId: () => `id-${(lastId += 1)}`, serverIdOf: () => undefined });

function seen(place: string, given: Partial<PlacedObservation> = {}): PlacedObservation {
  return {
    code: "SHADOW-SERVER",
    kind: "shadow_server",
    title: "t",
    severity: "medium",
    confidence: 1,
    identity: "pkg:npm/x",
    evidence: "e",
    remediation: "r",
    fix: { kind: "review" },
    instance: { device: place, path: `/${place}/a` },
    place,
    ...given,
  };
}

function sightings(read: string[], observations: PlacedObservation[], unread: Sightings["unread"] = []): Sightings {
  return { read, observations, unread, coverage: [], counts: NO_COUNTS };
}

/** Runs scans in turn and gives what the last one said of the one finding. */
function scans(...all: Sightings[]) {
  let stored: readonly Finding[] = [];
  let last;
  for (const [index, one] of all.entries()) {
    const merged = mergeFindings(stored, one, options(index + 1));
    // What a database gives back has no undefined members.
    stored = merged.map(({ finding }) => structuredClone(finding));
    [last] = merged;
  }
  if (last === undefined) throw new Error("no finding");
  return { change: last.change, ...last.finding };
}

test("the same sightings twice are one finding that is only seen again", () => {
  const one = sightings(["a"], [seen("a"), seen("a", { instance: { device: "a", path: "/a/b" } })]);
  expect(scans(one, one)).toMatchObject({ change: "seen", firstSeenAt: 1, lastSeenAt: 2, status: "open", devices: 1 });
  expect(scans(one, one).instances).toHaveLength(2);
});

test.each([
  ["the place was read", sightings(["a"], []), "resolved"],
  ["another place was read", sightings(["b"], []), undefined],
  ["the very file could not be read", sightings(["a"], [], [{ place: "a", path: "/a" }]), undefined],
  ["another file could not be read", sightings(["a"], [], [{ place: "a", path: "/b" }]), "resolved"],
])("unseen, and %s", (_what, second, change) => {
  expect(scans(sightings(["a"], [seen("a")]), second).change).toBe(change);
});

test("seen in two places it ends when both were read", () => {
  const both = sightings(["a", "b"], [seen("a"), seen("b")]);
  const first = scans(both, sightings(["a"], []));
  expect(first).toMatchObject({ change: undefined, status: "open", devices: 1, places: ["b"] });
  expect(scans(both, sightings(["a"], []), sightings(["b"], []))).toMatchObject({ change: "resolved", resolvedAt: 3 });
});

test("more instances than are kept still hold it open by their places", () => {
  const places = Array.from({ length: 1500 }, (_item, index) => `p${index}`);
  const all = sightings(
    places,
    places.map((place) => seen(place)),
  );
  const after = scans(all, sightings(places.slice(0, 1200), []));
  expect(after).toMatchObject({ change: undefined, status: "open" });
  expect(after.places).toHaveLength(300);
});

test("comes back as new, without what was decided about it before", () => {
  const there = sightings(["a"], [seen("a")]);
  const gone = sightings(["a"], []);
  expect(scans(there, gone, there)).toMatchObject({ change: "new", status: "open", handling: null, resolvedAt: null });
});
