import type { UpstreamFault } from "./upstream.ts";

/** What went wrong with a server, to stand behind its name in a message. */
export function phraseOf({ kind, text }: UpstreamFault): string {
  const phrases: Readonly<Record<UpstreamFault["kind"], string>> = {
    unreachable: `cannot be reached (${text}); try again later`,
    timeout: "did not answer in time; try again later",
    reset: `broke off its answer (${text}); try again`,
    refused: `gave no usable answer: ${text}`,
    credential: `is not usable: ${text}; ask an administrator of this gateway`,
    unavailable: `is not available: ${text}`,
  };
  return phrases[kind];
}
