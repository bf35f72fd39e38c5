import type { IncomingMessage, ServerResponse } from "node:http";
import { lazily } from "../../lib/lazily.ts";
import type { GatewayContext } from "../context.ts";
import type { LiveSession } from "../sessions.ts";
import type { InnerHttp } from "./inner-http.ts";
import type { AggregateOptions, InnerCall, InnerCallOptions, InnerCallOutcome, InnerRefusal } from "./ports.ts";
import type { TrialResult, TrialRun } from "./skill-trial.ts";

/** `/gateway/mcp`: all servers and skills of the calling agent behind one connection. */
export interface Aggregate {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Runs a version for an administrator, decided as the agent's own run. */
  trial(run: TrialRun): Promise<TrialResult>;
  /** The way from a running skill to a tool of its agent. */
  callTool(call: InnerCall, options: InnerCallOptions): Promise<InnerCallOutcome>;
  /** Sessions that are open. */
  sessions(): readonly LiveSession[];
  /** False where there is none. */
  endSession(id: string): boolean;
  /** Why a skill may not be given again what its agent's call was answered; undefined where it may. */
  recheck(call: InnerCall): Promise<InnerRefusal | undefined>;
  /** Calls and trials that will end by themselves. */
  readonly openCalls: number;
  /** Ends what stands open without end; calls in flight go on. */
  endStreams(): void;
  close(): void;
}

/** Loads the MCP SDK at the first message: who uses single servers only never needs it. */
export function createAggregate(context: GatewayContext, http: InnerHttp, options: AggregateOptions): Aggregate {
  let endpoint: Aggregate | undefined;
  let isClosed = false;
  const load = lazily(async () => {
    const { createAggregateEndpoint } = await import("./aggregate-endpoint.ts");
    endpoint = createAggregateEndpoint(context, http, options);
    if (isClosed) endpoint.close();
    return endpoint;
  });
  return {
    async handle(request, response) {
      const loaded = await load();
      // Who left during the load, or came to a gateway that stops, is not waited for.
      if (isClosed || response.destroyed) response.destroy();
      else await loaded.handle(request, response);
    },
    trial: async (run) => (await load()).trial(run),
    callTool: async (call, callOptions) => (await load()).callTool(call, callOptions),
    recheck: async (call) => (await load()).recheck(call),
    sessions: () => endpoint?.sessions() ?? [],
    endSession: (id) => endpoint?.endSession(id) ?? false,
    get openCalls() {
      return endpoint?.openCalls ?? 0;
    },
    endStreams: () => endpoint?.endStreams(),
    close() {
      isClosed = true;
      if (endpoint === undefined) http.close();
      else endpoint.close();
    },
  };
}
