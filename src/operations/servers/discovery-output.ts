import { z } from "zod";
import { SEVERITIES } from "../../domain/server.ts";
import type { HealthState, Server, ServerHealth } from "../../domain/server.ts";
import { highestSeverity, toolRisk } from "../../domain/tool-definition.ts";
import type { Discovery } from "../services.ts";

/** What a contacted endpoint said of itself. All texts are the upstream's. */
export const DiscoveryOutput = z.object({
  state: z.enum(["ok", "unreachable", "unauthorized", "not_mcp", "not_contacted"]),
  protocolVersion: z.string().optional(),
  serverInfo: z.object({ name: z.string(), version: z.string() }).optional(),
  tools: z.array(z.object({ name: z.string(), description: z.string().optional(), risk: z.enum(SEVERITIES) })),
  resources: z.array(z.object({ uri: z.string(), name: z.string() })),
  prompts: z.array(z.object({ name: z.string() })),
  risk: z.enum(SEVERITIES),
  error: z.string().optional(),
});

/** An answer is read by a person or a model: get_mcp_server has all the tools. */
const SHOWN_MAX = 500;

export function showDiscovery(discovery: Discovery): z.output<typeof DiscoveryOutput> {
  const { state, protocolVersion, serverInfo, tools, resources, prompts, error } = discovery;
  return {
    state,
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
    ...(serverInfo === undefined ? {} : { serverInfo: { name: serverInfo.name, version: serverInfo.version } }),
    tools: tools.slice(0, SHOWN_MAX).map((tool) => ({
      name: tool.name,
      ...(tool.description === undefined ? {} : { description: tool.description }),
      risk: toolRisk(tool),
    })),
    resources: resources.slice(0, SHOWN_MAX).map(showResource),
    prompts: prompts.slice(0, SHOWN_MAX).map(({ name }) => ({ name })),
    risk: highestSeverity(tools.map(toolRisk)),
    ...(error === undefined ? {} : { error }),
  };
}

function showResource({ uri, name }: Discovery["resources"][number]): { uri: string; name: string } {
  return { uri, name: typeof name === "string" ? name : uri };
}

/** An endpoint that nobody has contacted, and why not. */
export function notContacted(error?: string): Discovery {
  return { state: "not_contacted", tools: [], resources: [], prompts: [], error };
}

/** The health that a discovery shows; undefined where nobody was contacted. */
export function toHealth(discovery: Discovery, checkedAt: number): ServerHealth | undefined {
  if (discovery.state === "not_contacted") return undefined;
  const state: HealthState = discovery.state;
  return { state, checkedAt, latencyMs: discovery.latencyMs ?? null, error: discovery.error ?? null };
}

/** What a server tells of itself before anybody asked. */
export const NOTHING_OBSERVED = { protocolVersion: null, serverInfo: null } as const;

/** The part of a server that a discovery fills. */
export function toObserved({ protocolVersion, serverInfo }: Discovery): Pick<Server, "protocolVersion" | "serverInfo"> {
  return { protocolVersion: protocolVersion ?? null, serverInfo: serverInfo ?? null };
}
