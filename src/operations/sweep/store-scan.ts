import type { Scan } from "../../domain/scan.ts";
import { mergeTools, wholeListing } from "../../domain/tool-definition.ts";
import type { HandleContext } from "../context.ts";
import { toHealth } from "../servers/discovery-output.ts";
import { mergeFinding, type MergedFinding } from "./merge-findings.ts";
import { pruneSweep } from "./prune-sweep.ts";
import { shortenCoverage } from "./shorten-coverage.ts";
import { createServerFinder, toRegistry } from "./registry-view.ts";
import { createBypassRecorder } from "./record-bypasses.ts";
import type { ScanFindings } from "./run-plan.ts";
import { endRevokedDevices, type RevokedDevices } from "./revoked-devices.ts";
import { createScanCount } from "./scan-count.ts";
import { savePeers } from "./scan-peers.ts";
import type { Contact } from "./scan-registry.ts";
import { peerPlace, serverPlace } from "./place.ts";
import { createReadTest, type ReadTest } from "./sightings.ts";
import type { TalliedSightings } from "./tally-sightings.ts";

type StoreContext = Pick<HandleContext, "repositories" | "services" | "record"> & { readonly finishedAt: number };

/** Findings of so many keys are in memory at once. */
const KEYS_PER_STEP = 100;

/** Stores what a scan found and ends what it no longer found. The scan itself MUST be stored already. */
export async function storeScanFindings(
  scan: Scan,
  { sightings, contacts }: ScanFindings,
  context: StoreContext,
): Promise<Scan> {
  const { repositories, finishedAt } = context;
  await saveContacts(contacts, context);
  await savePeers(contacts, repositories, finishedAt);
  const revoked = await endRevokedDevices(repositories, { ...context, now: finishedAt });
  const merge = createMerge(sightings, revoked, context);
  const recordBypasses = createBypassRecorder({ ...context, now: finishedAt });
  const keys = [...new Set([...sightings.groups.keys(), ...(await repositories.findings.unresolvedKeys())])];
  const count = createScanCount(finishedAt);
  for (let from = 0; from < keys.length; from += KEYS_PER_STEP) {
    const merged = await merge(keys.slice(from, from + KEYS_PER_STEP));
    await saveMerged(scan.id, merged, context);
    await recordBypasses(merged);
    for (const one of merged) count.add(one);
  }
  const finished: Scan = {
    ...scan,
    status: sightings.coverage.every(({ status }) => status === "read") ? "complete" : "partial",
    finishedAt,
    summary: count.summary(sightings.counts),
    coverage: shortenCoverage([...sightings.coverage, ...revoked.coverage]),
  };
  await repositories.scans.save(finished);
  await pruneSweep(repositories, finishedAt);
  return finished;
}

/** Brings the findings of some keys together with what is stored of them. */
function createMerge(
  sightings: TalliedSightings,
  { hadPlace }: RevokedDevices,
  { repositories, services, finishedAt: now }: StoreContext,
): (keys: readonly string[]) => Promise<MergedFinding[]> {
  const registry = toRegistry(services.snapshot(), services.publicUrl, now);
  const registered = new Set(registry.servers.flatMap(({ id }) => [serverPlace(id), peerPlace(id)]));
  const wasLookedAt = createReadTest(sightings);
  // A server that is gone, and a device that was revoked, need no more looking at.
  const isRead: ReadTest = (instance) =>
    isGone(instance.place, registered) || hadPlace(instance.place) || wasLookedAt(instance);
  const serverIdOf = createServerFinder(registry, services.sweepHost.identityKey);
  const options = { isRead, now, newId: () => services.newId(), serverIdOf };
  return async (keys) => {
    const stored = await repositories.findings.findByKeys(keys);
    const byKey = new Map(stored.map((finding) => [finding.key, finding]));
    return keys.map((key) => mergeFinding(byKey.get(key), sightings.groups.get(key), options));
  };
}

function isGone(place: string, registered: ReadonlySet<string>): boolean {
  return place.startsWith(serverPlace("")) && !registered.has(place);
}

async function saveMerged(
  scanId: string,
  merged: readonly MergedFinding[],
  { repositories: { findings }, finishedAt }: StoreContext,
): Promise<void> {
  const written = (write: MergedFinding["write"]) =>
    merged.filter((one) => one.write === write).map(({ finding }) => finding);
  await findings.insert(written("insert"));
  for (const finding of written("update")) await findings.saveSeen(finding);
  const again = written("touch").map(({ id }) => id);
  await findings.saveLastSeen(again, finishedAt);
  await findings.record(
    scanId,
    merged.flatMap(({ finding, change }) => (change === undefined ? [] : [{ findingId: finding.id, change }])),
  );
}

/** What the contacted servers said is news for the registry too. A server that was deleted meanwhile is not. */
async function saveContacts(
  contacts: readonly Contact[],
  { repositories: { servers }, finishedAt }: StoreContext,
): Promise<void> {
  for (const { serverId, discovery } of contacts) {
    if ((await servers.find(serverId)) === undefined) continue;
    const health = toHealth(discovery, finishedAt);
    if (health !== undefined) await servers.saveHealth(serverId, health);
    if (discovery.state !== "ok") continue;
    const seen = { serverId, seenAt: finishedAt, isAccepted: false };
    const known = await servers.knownTools(serverId);
    await servers.saveTools(serverId, mergeTools(known, wholeListing(discovery.tools), seen));
  }
}
