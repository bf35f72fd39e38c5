import { lazily } from "../../lib/lazily.ts";
import type { UpstreamProbe, UpstreamProbeOptions } from "./probe.ts";

/** A probe whose MCP client is loaded at its first contact: a start need not wait for it. */
export function createLazyProbe(options: UpstreamProbeOptions): UpstreamProbe {
  const load = lazily(async () => {
    const { createUpstreamProbe } = await import("./probe.ts");
    return createUpstreamProbe(options);
  });
  return {
    discover: async (target, request) => (await load()).discover(target, request),
    verifyCredential: async (target, request) => (await load()).verifyCredential(target, request),
  };
}
