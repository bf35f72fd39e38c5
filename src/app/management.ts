import type { Core } from "./core.ts";
import type { GatewayParts } from "./gateway.ts";
import { createServices } from "./services.ts";
import type { createAuthenticator } from "../auth/authenticate.ts";
import type { ApiKey } from "../domain/api-key.ts";
import { createLazyProbe } from "../gateway/probe/lazy-probe.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { LiveSession } from "../gateway/sessions.ts";
import type { Egress } from "../lib/egress/egress.ts";
import { startHealthProber } from "./health-prober.ts";
import { createManagementAuthentication } from "./management-authentication.ts";
import { OPERATIONS } from "../operations/index.ts";
import { createReportRequests } from "../operations/sweep/report-request.ts";
import type { ScanSlot } from "../operations/sweep/ports.ts";
import type { LiveSessions, Services, SkillTrial, SkillTrialResult } from "../operations/services.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { LiveView } from "../snapshot/live-view.ts";
import type { Authenticate } from "../surfaces/authentication.ts";
import type { Handler } from "../surfaces/http-server.ts";
import { createMcp, type McpFace } from "../surfaces/mcp.ts";
import { createRest } from "../surfaces/rest.ts";
import type { Surface } from "../surfaces/surface.ts";
import { createSweepHost, type Machine } from "./sweep-host.ts";
import { VERSION } from "./version.ts";

export interface Management {
  readonly mcp: McpFace;
  readonly authenticate: Authenticate;
  readonly handlers: Readonly<Record<string, Handler>>;
}

export interface ManagementOptions {
  readonly url: string;
  readonly gateway: GatewayParts;
  readonly egress: Egress;
  readonly machine: Machine;
  readonly scanSlot: ScanSlot;
  readonly authenticate: ReturnType<typeof createAuthenticator>;
  readonly stack: AsyncDisposableStack;
}

/** Wires the control plane: operations on their surfaces. */
export function createManagement(core: Core, options: ManagementOptions): Management {
  const { store, clock, usage, liveView, logger } = core;
  // The services count sessions of the MCP face, which needs the services: it is asked later.
  const sessions = toLiveSessions(options.gateway.gateway, (keyId) => mcp.countByKey(keyId));
  const services = openServices(core, options, sessions);
  const authenticate = createManagementAuthentication({
    authenticate: options.authenticate,
    liveView,
    usage,
    failures: core.audit.failures,
    clock,
  });
  const surface: Surface = {
    operations: OPERATIONS,
    runtime: { store, services, clock, denials: core.audit.denials },
    authenticate,
    version: VERSION,
    reportError: (error, context) => logger.error({ err: error, ...context }, "operation failed"),
  };
  const mcp: McpFace = createMcp({ ...surface, onKeyEnded: (listener) => followEndedKeys(liveView, listener) });
  const handleMcp: Handler = (request, response, origin) => mcp.handle(request, response, origin);
  return { mcp, authenticate, handlers: { "/mcp": handleMcp, "/api/v1/": createRest(surface) } };
}

function openServices(core: Core, options: ManagementOptions, sessions: LiveSessions): Services {
  const { store, clock, audit, usage, vault, pepper, liveView, config } = core;
  const { egress, gateway, stack } = options;
  const clientInfo = { name: "runlayer", version: VERSION };
  const probe = createLazyProbe({
    egress,
    credentials: gateway.credentials,
    stdio: gateway.supervisor,
    clientInfo,
  });
  stack.defer(startHealthProber({ ...core, probe, observer: gateway.observer }));
  return createServices({
    vault,
    pepper,
    audit: audit.log,
    usage,
    egress,
    probe,
    sessions,
    isStdioAllowed: config.isStdioAllowed,
    stdioIsolation: gateway.supervisor?.isolation.mode ?? "off",
    liveView,
    publicUrl: options.url,
    sweepHost: createSweepHost(options.machine, pepper),
    scanSlot: options.scanSlot,
    deviceReports: createReportRequests(store),
    clock,
    runSkill: (run) => trial(gateway, run),
  });
}

function toLiveSessions(gateway: Gateway, countMcp: (keyId: string) => number): LiveSessions {
  const count = (matches: (session: LiveSession) => boolean): number => gateway.sessions().filter(matches).length;
  return {
    countByServer: (serverId) => count((session) => session.serverId === serverId),
    countByAgent: (agentId) => count((session) => session.agentId === agentId),
    countByKey: (keyId) => countMcp(keyId) + count((session) => session.keyId === keyId),
    list: () => gateway.sessions(),
    end: (id) => gateway.endSession(id),
  };
}

async function trial({ gateway }: GatewayParts, run: SkillTrial): Promise<SkillTrialResult> {
  if (gateway.aggregate === undefined) throw new Error("invariant violated: skills run where the aggregate is");
  return gateway.aggregate.trial(run);
}

/** Tells of each key that a change has revoked, and of those whose member may no longer hold them, before the change is answered. */
function followEndedKeys(liveView: LiveView, listener: (keyId: string) => void): () => void {
  return liveView.onSwap((next, _previous, changes) => {
    for (const { kind, id } of changes) {
      if (kind === "apiKey" && next.keyById.get(id)?.revoked !== null) listener(id);
      // What a changed member may hold is decided anew: sessions of its keys begin again.
      if (kind === "member") for (const key of keysOfMember(next, id)) listener(key.id);
    }
  });
}

function keysOfMember(snapshot: Snapshot, memberId: string): readonly ApiKey[] {
  return [...snapshot.keyById.values()].filter((key) => key.memberId === memberId);
}
