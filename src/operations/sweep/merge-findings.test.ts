import { expect, test } from "vitest";
import type { Finding } from "../../domain/finding.ts";
import { mergeFinding } from "./merge-findings.ts";
import { createReadTest, NO_COUNTS, type PlacedObservation, type Sightings } from "./sightings.ts";
import { createTally } from "./tally-sightings.ts";

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
  let before: Finding | undefined;
  let last;
  for (const [index, one] of all.entries()) {
    const tally = createTally();
    tally.add(one);
    const [seen] = tally.total.groups.values();
    last = mergeFinding(before, seen, { ...options(index + 1), isRead: createReadTest(one) });
    // What a database gives back has no undefined members.
    before = structuredClone(last.finding);
  }
  if (last === undefined) throw new Error("no finding");
  return { change: last.change, write: last.write, ...last.finding };
}

test("the same sightings twice are one finding that is only seen again", () => {
  const one = sightings(["a"], [seen("a"), seen("a", { instance: { device: "a", path: "/a/b" } })]);
  expect(scans(one, one)).toMatchObject({
    change: "seen",
    write: "touch",
    firstSeenAt: 1,
    lastSeenAt: 2,
    status: "open",
    devices: 1,
  });
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

test("what lies in a folder that could not be read stays, also on Windows", () => {
  const instance = { device: "a", path: "C:\\Users\\ada\\work\\.mcp.json" };
  const unread = (path: string) =>
    scans(sightings(["a"], [seen("a", { instance })]), sightings(["a"], [], [{ place: "a", path }]));
  expect(unread("C:\\Users\\ada\\work").change).toBeUndefined();
  expect(unread("C:\\Users\\ada\\wo").change).toBe("resolved");
});

const RUNNING = {
  severity: "high",
  title: "running",
  evidence: "it runs",
  remediation: "stop it",
  confidence: 0.9,
  instance: { device: "a", path: "/a/running", isRunning: true },
} as const;
const TOLD = { severity: "high", title: "running", evidence: "it runs", remediation: "stop it", confidence: 0.9 };

test.each([
  ["a scan that did not look there keeps the worse", sightings(["b"], [seen("b")]), TOLD],
  [
    "a scan that could not read it keeps the worse",
    sightings(["a", "b"], [seen("b")], [{ place: "a", path: "/a" }]),
    TOLD,
  ],
  ["a scan that found it gone lowers it", sightings(["a", "b"], [seen("b")]), { severity: "medium", title: "t" }],
  [
    "a scan that saw something worse raises it",
    sightings(["b"], [seen("b", { severity: "critical", title: "w" })]),
    { severity: "critical", title: "w" },
  ],
])("%s", (_what, second, expected) => {
  expect(scans(sightings(["a", "b"], [seen("a", RUNNING), seen("b")]), second)).toMatchObject(expected);
});

test("seen in two places it ends when both were read", () => {
  const both = sightings(["a", "b"], [seen("a"), seen("b")]);
  const first = scans(both, sightings(["a"], []));
  expect(first).toMatchObject({ change: undefined, status: "open", devices: 1, places: ["b"] });
  expect(scans(both, sightings(["a"], []), sightings(["b"], []))).toMatchObject({ change: "resolved", resolvedAt: 3 });
});

test("a restarted process is the same instance with another pid, and no change", () => {
  const at = (pid: number, port: number) => seen("p", { instance: { device: "d", isRunning: true, pid, port } });
  const merged = scans(sightings(["p"], [at(1, 80)]), sightings(["p"], [at(2, 81), at(3, 81)]));
  expect(merged).toMatchObject({ change: "seen", version: 1, firstSeenAt: 1 });
  expect(merged.instances.map(({ pid, port }) => [pid, port])).toEqual([
    [2, 81],
    [3, 81],
  ]);
  const heard = scans(sightings(["p"], [at(1, 80)]), sightings([], [at(2, 80)]));
  expect(heard.instances).toMatchObject([{ pid: 2 }]);
});

test("what an old report shows again is one instance, however often a scan goes by it", () => {
  const here = seen("d1");
  const merged = scans(sightings(["d1"], [here]), sightings([], [here], []), sightings([], [here], []));
  expect(merged.instances).toHaveLength(1);
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

test("counts all devices and knows all places, scan after scan, however few instances it lists", () => {
  const places = Array.from({ length: 1500 }, (_item, index) => `home|d${index}|/h`);
  const all = sightings(
    places,
    places.map((place) => seen(place)),
  );
  const twice = scans(all, all);
  expect(twice).toMatchObject({ change: "seen", write: "touch", devices: 1500 });
  expect([twice.instances.length, twice.places.length]).toEqual([1000, 1500]);
  expect(scans(all, all, sightings(places.slice(0, 1200), []))).toMatchObject({ status: "open", devices: 300 });
});

test("the worst observation stands for all, with the fix that another one knew", () => {
  const fix = { kind: "register", name: "n", url: "https://x.example/mcp", transport: "sse" } as const;
  const found = scans(
    sightings(["a", "b"], [seen("a", { fix, serverId: "s" }), seen("b", { severity: "high", evidence: "worse" })]),
  );
  expect(found).toMatchObject({ severity: "high", evidence: "worse", fix, serverId: "s" });
});

test("what was not looked at is not written again", () => {
  expect(scans(sightings(["a"], [seen("a")]), sightings(["b"], [])).write).toBe("none");
});

test("comes back as new, without what was decided about it before", () => {
  const there = sightings(["a"], [seen("a")]);
  const gone = sightings(["a"], []);
  expect(scans(there, gone, there)).toMatchObject({ change: "new", status: "open", handling: null, resolvedAt: null });
});
