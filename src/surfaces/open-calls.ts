import type { ServerResponse } from "node:http";
import type { Clock } from "../lib/clock.ts";
import type { Identity } from "./authentication.ts";

interface OpenCall {
  readonly response: ServerResponse;
  readonly identity: Identity;
  readonly isMutation: boolean;
}

/** The answers that are still open, by key: a key that ends takes its streams with it. */
export interface OpenCalls {
  add(call: OpenCall): void;
  /** Cuts the open answers of a key; those of changes under way are finished. */
  cutOfKey(keyId: string): void;
  close(): void;
}

const EXPIRY_CHECK_MS = 5_000;

export function createOpenCalls(clock: Clock): OpenCalls {
  const calls = new Set<OpenCall>();
  const cut = (isMeant: (call: OpenCall) => boolean): void => {
    for (const call of calls) if (!call.isMutation && isMeant(call)) call.response.destroy();
  };
  const timer = setInterval(() => {
    const now = clock.now();
    cut(({ identity }) => identity.keyExpiresAt !== null && identity.keyExpiresAt <= now);
  }, EXPIRY_CHECK_MS).unref();
  return {
    add(call) {
      calls.add(call);
      call.response.once("close", () => calls.delete(call));
    },
    cutOfKey: (keyId) => cut((call) => call.identity.keyId === keyId),
    close() {
      clearInterval(timer);
      cut(() => true);
    },
  };
}
