import type { Scan, ScanSummary } from "../../domain/scan.ts";
import { SEVERITIES, type Severity } from "../../domain/server.ts";
import { mergeTools } from "../../domain/tool-definition.ts";
import { findingStatus } from "../../domain/finding.ts";
import { findingKey, riskScore } from "../../sweep/finding.ts";
import type { HandleContext } from "../context.ts";
import { toHealth } from "../servers/discovery-output.ts";
import { mergeFindings, type MergedFinding } from "./merge-findings.ts";
import { createServerFinder, toRegistry } from "./registry-view.ts";
import { recordNewBypasses } from "./record-bypasses.ts";
import type { ScanFindings } from "./run-plan.ts";
import { savePeers } from "./scan-peers.ts";
import type { Contact } from "./scan-registry.ts";
import { peerPlace, serverPlace } from "./place.ts";

type StoreContext = Pick<HandleContext, "repositories" | "services" | "record"> & { readonly finishedAt: number };

/** Stores what a scan found and ends what it no longer found. The scan itself MUST be stored already. */
export async function storeScanFindings(
  scan: Scan,
  { sightings, contacts }: ScanFindings,
  context: StoreContext,
): Promise<Scan> {
  const { repositories, services, finishedAt } = context;
  const registry = toRegistry(services.snapshot(), services.publicUrl);
  const keys = [...new Set(sightings.observations.map(({ code, identity }) => findingKey(code, identity)))];
  const stored = await repositories.findings.unresolvedOr(keys);
  const registered = new Set(registry.servers.flatMap(({ id }) => [serverPlace(id), peerPlace(id)]));
  const gone = stored.flatMap(({ places }) =>
    places.filter((place) => place.startsWith(serverPlace("")) && !registered.has(place)),
  );
  const merged = mergeFindings(
    stored,
    { ...sightings, read: [...sightings.read, ...gone] },
    {
      now: finishedAt,
      newId: () => services.newId(),
      serverIdOf: createServerFinder(registry, services.sweepHost.identityKey),
    },
  );
  await saveContacts(contacts, context);
  await savePeers(contacts, repositories, finishedAt);
  await saveMerged(scan.id, merged, context);
  await recordNewBypasses(merged, { ...context, now: finishedAt });
  const isWhole = sightings.coverage.every(({ status }) => status === "read");
  const summary = summarize(merged, sightings.counts, finishedAt);
  const finished: Scan = {
    ...scan,
    status: isWhole ? "complete" : "partial",
    finishedAt,
    summary,
    coverage: sightings.coverage.slice(0, COVERAGE_MAX),
  };
  await repositories.scans.save(finished);
  return finished;
}

/** Thousands of unreadable files say no more than these. */
const COVERAGE_MAX = 2000;

async function saveMerged(
  scanId: string,
  merged: readonly MergedFinding[],
  { repositories: { findings } }: StoreContext,
): Promise<void> {
  for (const { finding, isNewRow } of merged) await (isNewRow ? findings.insert(finding) : findings.saveSeen(finding));
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
    await servers.saveTools(serverId, mergeTools(await servers.tools(serverId), discovery.tools, seen));
  }
}

function summarize(
  merged: readonly MergedFinding[],
  counts: Omit<ScanSummary, "findings" | "new" | "resolved" | "risk">,
  now: number,
): ScanSummary {
  const open = merged
    .filter(({ change, finding }) => isShown(change) && findingStatus(finding, now) === "open")
    .map(({ finding }) => finding);
  const count = (severity: Severity): number => open.filter((finding) => finding.severity === severity).length;
  const [critical, high, medium, low, info] = SEVERITIES.map(count);
  const changes = (change: MergedFinding["change"]): number => merged.filter((one) => one.change === change).length;
  return {
    ...counts,
    findings: { critical: critical ?? 0, high: high ?? 0, medium: medium ?? 0, low: low ?? 0, info: info ?? 0 },
    new: changes("new"),
    resolved: changes("resolved"),
    risk: riskScore(open),
  };
}

function isShown(change: MergedFinding["change"]): boolean {
  return change === "new" || change === "seen";
}
