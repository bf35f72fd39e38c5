import { Counter, Gauge, type Registry } from "prom-client";
import type { AuditLog } from "../audit/audit-log.ts";
import { createBatchedHistogram } from "../lib/batched-histogram.ts";

/** What the gateway counts. Servers are labels, agents are not: their number has no bound that a metrics store likes. */
export interface GatewayMetrics {
  called(server: string, outcome: string): void;
  denied(server: string, reason: string): void;
  upstreamFailed(server: string, kind: string): void;
  /** Time that the gateway itself took of a call, in seconds. */
  added(seconds: number): void;
}

const ADDED_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

export interface MetricsSources {
  readonly audit: Pick<AuditLog, "depth" | "openDecisions">;
  readonly liveSessions: () => number;
  readonly liveExchanges: () => number;
}

/** Registers the gateway's metrics. What other parts count themselves (children, commit times) they register. */
export function createGatewayMetrics(registry: Registry, sources: () => MetricsSources | undefined): GatewayMetrics {
  const registers = [registry];
  const denials = new Counter({
    name: "runlayer_gateway_denials_total",
    help: "Messages that were denied, by reason",
    labelNames: ["server", "reason"],
    registers,
  });
  const failures = new Counter({
    name: "runlayer_gateway_upstream_errors_total",
    help: "Exchanges that the upstream failed, by kind",
    labelNames: ["server", "kind"],
    registers,
  });
  registerGauges(registry, sources);
  return {
    called: countCalls(registers),
    denied: (server, reason) => denials.inc({ server, reason }),
    upstreamFailed: (server, kind) => failures.inc({ server, kind }),
    added: createBatchedHistogram({
      name: "runlayer_gateway_added_seconds",
      help: "Time that the gateway added to a call",
      buckets: ADDED_BUCKETS,
      registers,
    }),
  };
}

/** Told to the counter when it is read: a sum by two names costs a call a third of what a labelled counter does. */
function countCalls(registers: Registry[]): GatewayMetrics["called"] {
  const counted = new Map<string, Map<string, number>>();
  void new Counter({
    name: "runlayer_gateway_calls_total",
    help: "Messages with a recorded decision, by outcome",
    labelNames: ["server", "outcome"],
    registers,
    collect() {
      for (const [server, byOutcome] of counted)
        for (const [outcome, count] of byOutcome) this.inc({ server, outcome }, count);
      counted.clear();
    },
  });
  return (server, outcome) => {
    const byOutcome = counted.get(server) ?? new Map<string, number>();
    counted.set(server, byOutcome.set(outcome, (byOutcome.get(outcome) ?? 0) + 1));
  };
}

function registerGauges(registry: Registry, sources: () => MetricsSources | undefined): void {
  const gauge = (name: string, help: string, read: (from: MetricsSources) => number): Gauge =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const from = sources();
        this.set(from === undefined ? 0 : read(from));
      },
    });
  gauge("runlayer_gateway_live_sessions", "Sessions seen lately", (from) => from.liveSessions());
  gauge("runlayer_gateway_live_exchanges", "Requests and streams in flight", (from) => from.liveExchanges());
  gauge("runlayer_audit_queue_depth", "Audit events that wait for the disk", (from) => from.audit.depth);
  gauge(
    "runlayer_audit_open_decisions",
    "Recorded decisions without an outcome yet",
    (from) => from.audit.openDecisions,
  );
}
