import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { openAudit, type AuditParts } from "./audit.ts";
import { ensureOrganization } from "../auth/first-start.ts";
import { KeyUsage } from "../auth/key-usage.ts";
import { loadPepper } from "../auth/pepper.ts";
import type { Config } from "./config.ts";
import type { Clock } from "../lib/clock.ts";
import { createLiveView, type LiveView } from "../snapshot/live-view.ts";
import { openMasterKey } from "./open-master-key.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/ports.ts";
import { createVault, type Vault } from "../vault/vault.ts";

/** What both planes stand on. */
export interface Core {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly store: Store;
  readonly vault: Vault;
  /** Under which keys are hashed, and from which other secrets of this installation are derived. */
  readonly pepper: Buffer;
  readonly liveView: LiveView;
  readonly audit: AuditParts;
  readonly usage: KeyUsage;
  /** Takes faults that no caller waits for. */
  readonly onProblem: (error: unknown) => void;
}

export interface CoreOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Closes what was opened, the last first. */
  readonly stack: AsyncDisposableStack;
}

/** Opens database, vault, live view and audit log, and makes the organization at the first start. */
export async function openCore(config: Config, { logger, clock, stack }: CoreOptions): Promise<Core> {
  const { dataDir, databaseUrl } = config;
  const onProblem = (error: unknown): void => logger.error({ err: error }, "background work failed");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const store = stack.adopt(await openStore({ dataDir, databaseUrl, clock }), (opened) => opened.close());
  const vault = createVault(await openMasterKey(config, store));
  const pepper = await loadPepper(store, vault);
  await ensureOrganization(store, clock.now());
  const liveView = stack.adopt(await createLiveView({ store, vault, onProblem }), (opened) => opened.close());
  const audit = await openAudit({ store, dataDir, clock, registry, onProblem, stack });
  const usage = stack.adopt(new KeyUsage({ store, onProblem }), (opened) => opened.close());
  return { config, clock, logger, registry, store, vault, pepper, liveView, audit, usage, onProblem };
}
