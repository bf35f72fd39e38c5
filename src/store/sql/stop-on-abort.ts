import type { KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs } from "kysely";
import { assertWanted } from "./turn-queue.ts";

/** Sends no further statement once whoever asked has gone; the running one is finished, because SQLite cannot be interrupted. */
export function stopOnAbort(signal: AbortSignal): KyselyPlugin {
  return {
    transformQuery({ node }: PluginTransformQueryArgs) {
      assertWanted(signal);
      return node;
    },
    transformResult: ({ result }: PluginTransformResultArgs) => Promise.resolve(result),
  };
}
