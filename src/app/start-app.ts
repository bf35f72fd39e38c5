import type { Logger } from "pino";
import { startApprovalPruning } from "./approval-pruning.ts";
import { openCore } from "./core.ts";
import { openGateway } from "./gateway.ts";
import { createManagement } from "./management.ts";
import type { Config } from "./config.ts";
import { createAuthenticator } from "../auth/authenticate.ts";
import { ensureFirstKey } from "../auth/first-start.ts";
import { systemClock, type Clock } from "../lib/clock.ts";
import { createEgress } from "../lib/egress/egress.ts";
import { startHttpServer, type Handler } from "../surfaces/http-server.ts";
import { OneScanSlot } from "./scan-slot.ts";
import { THIS_MACHINE, type Machine } from "./sweep-host.ts";
import { startNotifications } from "./notifications.ts";
import { createStatusHandlers } from "./status.ts";

/** A running installation. */
export interface App {
  /** Where clients reach it, without a trailing slash. */
  readonly url: string;
  /**
   * Begins to serve, after the first owner key is there. Gives that key if it was generated now: the caller MUST print it at once, and
   * never logs it. Throws `invalid_input` for a bootstrap key that may not be used.
   */
  open(): Promise<string | undefined>;
  /** Stops accepting, finishes what is in flight, flushes the audit log, frees everything. */
  close(): Promise<void>;
}

export interface AppOptions {
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
  /** What scans of this machine look at. */
  readonly machine?: Machine | undefined;
}

/** Calls in flight have so long to finish after SIGTERM. */
const DRAIN_MS = 10_000;

/** For the answers to those that did not finish. */
const TOLD_MS = 1_000;

/**
 * Opens everything in order and takes the port, so that only a start that can serve makes the first key. What was opened is closed again
 * if a later step fails. The caller MUST close it.
 */
export async function startApp(
  config: Config,
  { logger, clock = systemClock, machine = THIS_MACHINE }: AppOptions,
): Promise<App> {
  await using stack = new AsyncDisposableStack();
  const core = await openCore(config, { logger, clock, stack });
  const url =
    config.publicUrl ?? `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${config.port}`;
  const ownListeners = [{ host: config.host, port: config.port }];
  const egress = stack.adopt(createEgress({ ownListeners: () => ownListeners }), (opened) => opened.close());
  const authenticate = createAuthenticator(core.pepper);
  const gateway = openGateway(core, { egress, authenticate, stack });
  const { store, onProblem } = core;
  const scanSlot = stack.adopt(new OneScanSlot({ store, onProblem }), (slot) => slot.close());
  const management = createManagement(core, { url, gateway, egress, authenticate, stack, machine, scanSlot });
  stack.defer(startNotifications(core, egress));
  stack.defer(startApprovalPruning(core));
  const status = createStatusHandlers(core, management.authenticate);
  const handlers: Record<string, Handler> = { ...management.handlers, ...gateway.handlers, ...status };
  const server = await startHttpServer({
    host: config.host,
    port: config.port,
    publicUrl: url,
    trustedProxies: config.trustedProxies,
    handlers,
    reportError: (error, context) => logger.error({ err: error, ...context }, "request failed"),
  });
  stack.defer(async () => {
    // Nothing new comes in from here on; streams without an end go first, calls in flight finish. Who does not is told so, and only
    // then loses its connection.
    const closed = server.close(DRAIN_MS + TOLD_MS);
    await Promise.all([management.mcp.close(DRAIN_MS), gateway.gateway.drain(DRAIN_MS)]);
    await closed;
  });
  const finished = stack.move();
  return {
    url,
    async open() {
      const { pepper } = core;
      const firstKey = await ensureFirstKey({ store, pepper, bootstrapKey: config.bootstrapKey, now: clock.now() });
      server.open();
      return firstKey;
    },
    close: () => finished.disposeAsync(),
  };
}
