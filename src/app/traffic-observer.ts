import type { KeyUsage } from "../auth/key-usage.ts";
import type { Server, ServerHealth, ServerTool, ToolListing } from "../domain/server.ts";
import { mergeTools } from "../domain/tool-definition.ts";
import type { TrafficObserver } from "../gateway/context.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { escapeHiddenText } from "../lib/escape-hidden.ts";
import type { LiveView } from "../snapshot/live-view.ts";
import type { Store } from "../store/ports.ts";

// A healthy server is written down once a minute; a change of state at once.
const HEALTH_INTERVAL_MS = 60_000;
const SEEN_INTERVAL_MS = 60_000;
// A server whose lists differ by session drops tools and brings them back all day: what is missing is written down so often.
const ABSENCE_INTERVAL_MS = 10 * 60_000;
// What an event names at most of a list that changed altogether.
const NAMES_MAX = 100;

export interface TrafficObserverOptions {
  readonly store: Store;
  readonly liveView: LiveView;
  readonly usage: KeyUsage;
  readonly clock: Clock;
  readonly onProblem: (error: unknown) => void;
}

/** Writes down what traffic shows: health of servers, their tool definitions, when agents were seen. Never slows a message. */
export function createTrafficObserver(options: TrafficObserverOptions): TrafficObserver {
  const { store, liveView, usage, clock, onProblem } = options;
  const seenAt = new Map<string, number>();
  const writingHealth = new Set<string>();
  const absenceWrittenAt = new Map<string, number>();
  const inBackground = (work: Promise<void>): void => void work.catch(onProblem);
  return {
    keyUsed({ keyId, agentId, ip, at }) {
      usage.note(keyId, ip, at);
      if (at - (seenAt.get(agentId) ?? 0) < SEEN_INTERVAL_MS) return;
      seenAt.set(agentId, at);
      inBackground(store.transaction((repositories) => repositories.agents.touch(agentId, at)));
    },
    keyDenied(keyId, at) {
      usage.noteDenied(keyId, at);
    },
    health(serverId, observed) {
      const known = liveView.current.serverById.get(serverId)?.server.health;
      const health: ServerHealth = { ...observed, checkedAt: clock.now() };
      if (known === undefined || writingHealth.has(serverId) || !isWorthWriting(known, health)) return;
      writingHealth.add(serverId);
      const write = store.transaction((repositories) => repositories.servers.saveHealth(serverId, health));
      inBackground(write.finally(() => writingHealth.delete(serverId)));
    },
    toolsListed(serverId, listing) {
      inBackground(saveTools({ serverId, listing, absenceWrittenAt }, options));
    },
  };
}

function isWorthWriting(known: ServerHealth, next: ServerHealth): boolean {
  if (known.state !== next.state) return true;
  return (next.checkedAt ?? 0) - (known.checkedAt ?? 0) >= HEALTH_INTERVAL_MS;
}

interface Listed {
  readonly serverId: string;
  readonly listing: ToolListing;
  /** By server: when one of its tools was last found missing. */
  readonly absenceWrittenAt: Map<string, number>;
}

async function saveTools(
  { serverId, listing, absenceWrittenAt }: Listed,
  { store, clock }: TrafficObserverOptions,
): Promise<void> {
  const now = clock.now();
  await store.transaction(async ({ servers, audit }) => {
    const server = await servers.find(serverId);
    if (server === undefined) return;
    const known = await servers.knownTools(serverId);
    const isAbsenceDue = now - (absenceWrittenAt.get(serverId) ?? -Infinity) >= ABSENCE_INTERVAL_MS;
    const judged = isAbsenceDue ? listing : { ...listing, earlier: undefined };
    const merged = mergeTools(known, judged, { serverId, seenAt: now, isAccepted: false });
    const changes = describeChanges(known, merged);
    if (changes === undefined) return;
    await servers.saveTools(serverId, merged);
    await audit.stage(toEvent(server, changes, now));
    if (changes.removed.length > 0) absenceWrittenAt.set(serverId, now);
  });
}

/** Names of tools that are new or back, changed, or gone; undefined where nothing is. */
function describeChanges(before: readonly ServerTool[], after: readonly ServerTool[]) {
  const known = new Map(before.map((tool) => [tool.name, tool]));
  const old = listedNames(before);
  const current = listedNames(after);
  const added = [...current].filter((name) => !old.has(name));
  const removed = [...old].filter((name) => !current.has(name));
  const changed = after.filter(
    (tool) => known.has(tool.name) && tool.pending?.digest !== known.get(tool.name)?.pending?.digest,
  );
  if (added.length + removed.length + changed.length === 0) return undefined;
  return { added: toNames(added), removed: toNames(removed), changed: toNames(changed.map((tool) => tool.name)) };
}

function listedNames(tools: readonly ServerTool[]): ReadonlySet<string> {
  return new Set(tools.flatMap(({ name, absentSince }) => (absentSince === null ? [name] : [])));
}

/** The upstream chose these names: bounded, and fit to be read. */
function toNames(names: readonly string[]): readonly string[] {
  return names.slice(0, NAMES_MAX).map((name) => escapeHiddenText(name, 128));
}

function toEvent(server: Server, changes: NonNullable<ReturnType<typeof describeChanges>>, now: number) {
  const id = newId();
  return {
    id,
    time: now,
    actor: { type: "system", id: "gateway", name: "gateway" },
    action: "server.tools_changed",
    resource: { type: "server", id: server.id, name: server.name },
    outcome: "success",
    correlationId: id,
    details: changes,
  } as const;
}
