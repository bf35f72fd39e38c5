import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { Identity } from "./authentication.ts";

interface OpenCall {
  readonly response: ServerResponse;
  readonly identity: Identity;
  readonly isMutation: boolean;
  /** It stands open for whatever may come, and has no end of its own. */
  readonly isStream: boolean;
}

/** The answers that are still open, by key: a key that ends takes its streams with it. */
export interface OpenCalls {
  /** Throws `unavailable` once it is closing. */
  add(call: OpenCall): void;
  /** Cuts the open answers of a key; those of changes under way are finished. */
  cutOfKey(keyId: string): void;
  /** Cuts streams at once and what else is open after `graceMs`. Resolves when nothing is. */
  close(graceMs: number): Promise<void>;
}

const EXPIRY_CHECK_MS = 5_000;

export function createOpenCalls(clock: Clock): OpenCalls {
  const calls = new Set<OpenCall>();
  let isClosing = false;
  const cut = (isMeant: (call: OpenCall) => boolean): void => {
    for (const call of calls) if (!call.isMutation && isMeant(call)) call.response.destroy();
  };
  const timer = setInterval(() => {
    const now = clock.now();
    cut(({ identity }) => identity.keyExpiresAt !== null && identity.keyExpiresAt <= now);
  }, EXPIRY_CHECK_MS).unref();
  return {
    add(call) {
      if (isClosing) throw new AppError("unavailable", "the server is stopping; send the message again in a moment");
      // A client that left while its message was read: that answer has closed already.
      if (call.response.destroyed) return;
      calls.add(call);
      call.response.once("close", () => calls.delete(call));
    },
    cutOfKey: (keyId) => cut((call) => call.identity.keyId === keyId),
    async close(graceMs) {
      isClosing = true;
      clearInterval(timer);
      for (const { response, isStream } of calls) if (isStream) response.destroy();
      const signal = AbortSignal.timeout(graceMs);
      // A call that fails or takes longer is cut: it holds up neither the others nor the end.
      await Promise.allSettled([...calls].map(({ response }) => once(response, "close", { signal })));
      for (const { response } of calls) response.destroy();
    },
  };
}
