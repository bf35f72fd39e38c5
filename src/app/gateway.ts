import { hkdfSync } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Core } from "./core.ts";
import type { createAuthenticator } from "../auth/authenticate.ts";
import { createCredentialSource, type CredentialSource } from "../gateway/credentials.ts";
import { createGateway, type Gateway } from "../gateway/gateway.ts";
import { createGatewayMetrics } from "../gateway/metrics.ts";
import { createUpstreams } from "../gateway/upstreams.ts";
import type { Egress } from "../lib/egress/egress.ts";
import type { Handler } from "../surfaces/http-server.ts";
import { createTrafficObserver } from "./traffic-observer.ts";

export interface GatewayParts {
  readonly gateway: Gateway;
  readonly credentials: CredentialSource;
  readonly handlers: Readonly<Record<string, Handler>>;
}

export interface GatewayPartsOptions {
  readonly egress: Egress;
  readonly authenticate: ReturnType<typeof createAuthenticator>;
  readonly stack: AsyncDisposableStack;
}

/** Wires the data plane. */
export function openGateway(core: Core, { egress, authenticate, stack }: GatewayPartsOptions): GatewayParts {
  const { clock, liveView, audit, registry, logger } = core;
  const credentials = createCredentialSource({ egress, clock });
  const clientIps = new WeakMap<IncomingMessage, string>();
  const metrics = createGatewayMetrics(registry, () => ({
    audit: audit.log,
    liveSessions: () => gateway.sessions().length,
    liveExchanges: () => gateway.liveExchanges,
  }));
  const gateway: Gateway = createGateway({
    liveView,
    audit: audit.log,
    authFailures: audit.failures,
    authenticate,
    upstreams: createUpstreams({ egress, credentials, bridged: createBridges() }),
    // Handles that agents hold stay valid across a restart and on every node of one database.
    sealKey: Buffer.from(hkdfSync("sha256", core.pepper, "", "runlayer gateway handles", 32)),
    clock,
    clientIp: (request) => clientIps.get(request),
    maskSecrets: (value) => value,
    onProblem: (message, cause) => logger.error({ err: cause }, message),
    observer: createTrafficObserver(core),
    metrics,
  });
  stack.defer(() => gateway.close());
  const handle: Handler = (request, response, { ip }) => {
    if (ip !== undefined) clientIps.set(request, ip);
    gateway.handle(request, response);
  };
  return { gateway, credentials, handlers: { "/gateway/": handle } };
}
