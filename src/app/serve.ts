import { flushCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import { startApp } from "./start-app.ts";
import { collectGarbage } from "../lib/collect-garbage.ts";
import type { Config } from "./config.ts";
import { createLogger } from "./logger.ts";

/** What a start says on standard output; the first key is shown here and never again. */
export interface ServeOutput {
  readonly write: (text: string) => void;
}

/** Serves until SIGTERM or SIGINT, then finishes what is in flight. Resolves after that; throws what keeps it from starting. */
export async function serve(config: Config, { write }: ServeOutput): Promise<void> {
  const logger = createLogger(config.logLevel);
  const app = await startApp(config, { logger });
  try {
    // Listened for before there is a first key: a signal that ended the process now would take that key with it.
    const stopped = untilStopped();
    write(greeting(app.url, await app.open()));
    settle();
    await stopped;
    logger.info("stopping: finishing what is in flight");
  } finally {
    await app.close();
  }
}

function untilStopped(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // A second signal ends the process at once.
  const stop = (): void => {
    process.off("SIGTERM", stop).off("SIGINT", stop);
    resolve();
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  return promise;
}

function settle(): void {
  // V8's own default, after a start that kept the space for short-lived objects small.
  setFlagsFromString("--semi-space-growth-factor=2");
  setImmediate(() => {
    // Kept now, because a process that is killed could not do it at its end.
    flushCompileCache();
    collectGarbage();
  });
}

function greeting(url: string, firstKey: string | undefined): string {
  const lines = [`Runlayer serves at ${url} (MCP ${url}/mcp, REST ${url}/api/v1)`];
  if (firstKey === undefined) return `${lines.join("\n")}\n`;
  lines.push(
    "",
    "First owner key, shown only now:",
    "",
    `  ${firstKey}`,
    "",
    "Connect your AI client:",
    "",
    `  claude mcp add --transport http runlayer ${url}/mcp --header "Authorization: Bearer ${firstKey}"`,
    "",
  );
  return `${lines.join("\n")}\n`;
}
