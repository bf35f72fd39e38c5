import type { DecisionDraft } from "../domain/audit-event.ts";
import type { GatewayContext } from "./context.ts";
import type { Caller } from "./decide.ts";

export interface Denial {
  readonly draft: DecisionDraft;
  readonly reason: string;
  readonly durationMs?: number | undefined;
  /** The name of the server that it was about; none for what the gateway answers itself. */
  readonly server?: string | undefined;
  /** Of the agent that asked; none where its server did, or a list only left something out. */
  readonly keyId?: string | undefined;
}

/**
 * Makes a denial durable and counts it, so that figures and the flags of keys say what the log says. Rejects with `unavailable` where it
 * cannot be recorded.
 */
export async function recordDenial(
  { audit, metrics, observer, clock }: Pick<GatewayContext, "audit" | "metrics" | "observer" | "clock">,
  { draft, reason, durationMs, server = "", keyId }: Denial,
): Promise<void> {
  await audit.record({ ...draft, outcome: "denied", reason, durationMs });
  metrics?.denied(server, reason);
  if (keyId !== undefined) observer?.keyDenied(keyId, clock.now());
}

/** A denial of what an agent asked of a server. */
export function askedBy({ caller }: { readonly caller: Caller }): Pick<Denial, "server" | "keyId"> {
  return { server: caller.server.server.name, keyId: caller.key.id };
}
