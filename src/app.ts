import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { openAudit } from "./app-audit.ts";
import { createServices } from "./app-services.ts";
import { createAuthenticator } from "./auth/authenticate.ts";
import { firstStart } from "./auth/first-start.ts";
import { KeyUsage } from "./auth/key-usage.ts";
import { loadPepper } from "./auth/pepper.ts";
import type { Config } from "./config.ts";
import { createCredentialSource } from "./gateway/credentials.ts";
import { createUpstreamProbe } from "./gateway/probe/probe.ts";
import { systemClock, type Clock } from "./lib/clock.ts";
import { createEgress } from "./lib/egress/egress.ts";
import { createManagementAuthentication } from "./management-authentication.ts";
import { OPERATIONS } from "./operations/index.ts";
import { createLiveView } from "./snapshot/live-view.ts";
import { openStore } from "./store/open-store.ts";
import { loadMasterKey } from "./vault/master-key.ts";
import { createVault } from "./vault/vault.ts";
import { VERSION } from "./version.ts";

/** A running installation. */
export interface App {
  /** Where it listens, without a trailing slash. */
  readonly url: string;
  /** The first owner key, where this start generated it: to be printed once, never logged. */
  readonly firstKey: string | undefined;
  /** Stops accepting, finishes what is in flight, flushes the audit log, frees everything. */
  close(): Promise<void>;
}

/** Opens everything in order and starts to serve. What was opened is closed again if a later step fails. */
export async function startApp(
  config: Config,
  { logger, clock = systemClock }: { logger: Logger; clock?: Clock },
): Promise<App> {
  await using stack = new AsyncDisposableStack();
  const { dataDir, databaseUrl } = config;
  const onProblem = (error: unknown): void => logger.error({ err: error }, "background work failed");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const store = stack.adopt(await openStore({ dataDir, databaseUrl, clock }), (opened) => opened.close());
  const vault = createVault(loadMasterKey({ dataDir, key: config.masterKey, keyFile: config.masterKeyFile }));
  const pepper = await loadPepper(store, vault);
  const firstKey = await firstStart({ store, pepper, bootstrapKey: config.bootstrapKey, now: clock.now() });
  const liveView = await createLiveView(store, vault);
  const audit = await openAudit({ store, dataDir, clock, registry, onProblem, stack });
  const usage = stack.adopt(new KeyUsage({ store, onProblem }), (opened) => opened.close());

  const finished = stack.move();
  return { url: "", firstKey, close: () => finished.disposeAsync() };
}
