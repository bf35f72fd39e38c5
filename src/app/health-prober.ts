import type { Server } from "../domain/server.ts";
import { wholeListing } from "../domain/tool-definition.ts";
import type { TrafficObserver } from "../gateway/context.ts";
import type { UpstreamProbe } from "../gateway/probe/probe.ts";
import type { Clock } from "../lib/clock.ts";
import type { LiveView } from "../snapshot/live-view.ts";
import type { ServerView } from "../snapshot/snapshot.ts";

/** A server without traffic for so long is asked how it is. */
const IDLE_MS = 5 * 60_000;
const ROUND_MS = 60_000;
const PROBE_TIMEOUT_MS = 10_000;
// Bounds what a round costs: the longest idle come first, the rest in the next rounds.
const PROBES_PER_ROUND = 20;

export interface HealthProberOptions {
  readonly liveView: LiveView;
  readonly probe: UpstreamProbe;
  readonly observer: TrafficObserver;
  readonly clock: Clock;
  readonly onProblem: (error: unknown) => void;
}

/** Keeps the health of idle HTTP servers current, a bounded number a minute. Stdio servers are never started for it. Gives its end. */
export function startHealthProber(options: HealthProberOptions): () => void {
  const ended = new AbortController();
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    probeIdle(options, ended.signal)
      .catch((error: unknown) => {
        if (!ended.signal.aborted) options.onProblem(error);
      })
      .finally(() => (isRunning = false));
  }, ROUND_MS).unref();
  return () => {
    clearInterval(timer);
    ended.abort();
  };
}

async function probeIdle(options: HealthProberOptions, signal: AbortSignal): Promise<void> {
  const before = options.clock.now() - IDLE_MS;
  const idle = [...options.liveView.current.serverById.values()]
    .filter(({ server }) => isProbed(server) && (server.health.checkedAt ?? 0) <= before)
    .toSorted((left, right) => (left.server.health.checkedAt ?? 0) - (right.server.health.checkedAt ?? 0));
  for (const view of idle.slice(0, PROBES_PER_ROUND)) await probeOne(view, options, signal);
}

function isProbed({ status, transport }: Server): boolean {
  return status === "active" && transport !== "stdio";
}

async function probeOne(
  view: ServerView,
  { probe, observer }: HealthProberOptions,
  signal: AbortSignal,
): Promise<void> {
  const { id, transport, url, command, cwd, allowPrivateNetwork } = view.server;
  const target = { transport, url, command, cwd, allowPrivateNetwork, ...view.secrets() };
  const found = await probe.discover(target, { timeoutMs: PROBE_TIMEOUT_MS, signal });
  if (found.state === "not_contacted") return;
  observer.health(id, { state: found.state, latencyMs: found.latencyMs, error: found.error ?? null });
  if (found.state === "ok") observer.toolsListed(id, wholeListing(found.tools));
}
