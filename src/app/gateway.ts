import { hkdfSync } from "node:crypto";
import { Gauge } from "prom-client";
import type { createAuthenticator } from "../auth/authenticate.ts";
import type { Aggregate } from "../gateway/aggregate/aggregate.ts";
import { createBridge, type Bridge } from "../gateway/bridge/bridge.ts";
import { createCredentialSource, type CredentialSource } from "../gateway/credentials.ts";
import type { TrafficObserver } from "../gateway/context.ts";
import { createGateway, type Gateway } from "../gateway/gateway.ts";
import { createGatewayMetrics } from "../gateway/metrics.ts";
import { createStdioSupervisor, type StdioSupervisor } from "../gateway/stdio/supervisor.ts";
import { createUpstreams, reachServer } from "../gateway/upstreams.ts";
import { maskSecrets, maskText } from "../guard/mask-secrets.ts";
import type { Egress } from "../lib/egress/egress.ts";
import { clientAddress } from "../surfaces/client-address.ts";
import type { Handler } from "../surfaces/http-server.ts";
import { createApprovalStore } from "./approvals.ts";
import type { Core } from "./core.ts";
import { createProblemLog } from "./problem-log.ts";
import { openSkillRunner, type SkillToolCaller } from "./skill-runner.ts";
import { createTrafficObserver } from "./traffic-observer.ts";
import { VERSION } from "./version.ts";

export interface GatewayParts {
  readonly gateway: Gateway;
  readonly credentials: CredentialSource;
  /** Absent where stdio servers are switched off. */
  readonly supervisor: StdioSupervisor | undefined;
  readonly observer: TrafficObserver;
  readonly handlers: Readonly<Record<string, Handler>>;
}

export interface GatewayPartsOptions {
  readonly egress: Egress;
  readonly authenticate: ReturnType<typeof createAuthenticator>;
  readonly stack: AsyncDisposableStack;
}

/** Wires the data plane. */
export function openGateway(core: Core, { egress, authenticate, stack }: GatewayPartsOptions): GatewayParts {
  const { clock, liveView, audit, registry, logger, store } = core;
  const credentials = createCredentialSource({ egress, clock });
  const supervisor = core.config.isStdioAllowed ? openSupervisor(core, stack) : undefined;
  const bridge = openBridge(core, { egress, credentials, supervisor });
  stack.defer(() => bridge.close());
  const observer = createTrafficObserver(core);
  const toolCaller: SkillToolCaller = {
    callTool: (call, callOptions) => aggregateOf(gateway).callTool(call, callOptions),
    recheck: (call) => aggregateOf(gateway).recheck(call),
  };
  const skills = openSkillRunner({ clock, stack, toolCaller });
  const gateway: Gateway = createGateway({
    liveView,
    audit: audit.log,
    authFailures: audit.failures,
    authenticate,
    upstreams: createUpstreams({ egress, credentials, bridged: bridge }),
    // Handles that agents hold stay valid across a restart and on every node of one database.
    sealKey: Buffer.from(hkdfSync("sha256", core.pepper, "", "runlayer gateway handles", 32)),
    clock,
    clientIp: (request) => clientAddress(request, core.config.trustedProxies).ip,
    maskSecrets,
    onProblem: createProblemLog(logger),
    observer,
    approvals: createApprovalStore({ store, clock }),
    aggregate: { skills, version: VERSION },
    metrics: createGatewayMetrics(registry, () => ({
      audit: audit.log,
      liveSessions: () => gateway.sessions().length,
      liveExchanges: () => gateway.liveExchanges,
    })),
  });
  stack.defer(() => gateway.close());
  const handle: Handler = (request, response) => gateway.handle(request, response);
  return { gateway, credentials, supervisor, observer, handlers: { "/gateway/": handle } };
}

function aggregateOf({ aggregate }: Gateway): Aggregate {
  if (aggregate === undefined) throw new Error("invariant violated: skills run where the aggregate is");
  return aggregate;
}

function openSupervisor({ config, logger, registry }: Core, stack: AsyncDisposableStack): StdioSupervisor {
  const supervisor = createStdioSupervisor({
    user: config.stdioUser,
    hiddenPaths: [config.dataDir, ...(config.masterKeyFile === undefined ? [] : [config.masterKeyFile])],
    maskText,
    log: ({ label, text, dropped }) => logger.info({ server: label, dropped, stderr: text }, "stdio server wrote"),
  });
  stack.defer(() => supervisor.close());
  const children = new Gauge({
    name: "runlayer_gateway_live_children",
    help: "Running stdio servers",
    registers: [],
    collect() {
      this.set(supervisor.count());
    },
  });
  registry.registerMetric(children);
  return supervisor;
}

function openBridge(
  { clock, logger }: Core,
  {
    egress,
    credentials,
    supervisor,
  }: { egress: Egress; credentials: CredentialSource; supervisor: StdioSupervisor | undefined },
): Bridge {
  return createBridge({
    clock,
    async startChild(spec) {
      if (supervisor !== undefined) return supervisor.start(spec);
      throw new Error("stdio servers are switched off here (`RUNLAYER_ALLOW_STDIO=false`)");
    },
    reach: (view) => reachServer(view, { egress, credentials }),
    onProblem: createProblemLog(logger),
  });
}
