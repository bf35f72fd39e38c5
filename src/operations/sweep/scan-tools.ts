import { setImmediate } from "node:timers/promises";
import type { ServerView, Snapshot } from "../../snapshot/snapshot.ts";
import { identify } from "../../sweep/identity.ts";
import type { Sighting } from "../../sweep/server-rules.ts";
import { toxicFlowsOf } from "../../sweep/set-rules.ts";
import { type ShownTool, type ToolShadow, toolShadowsOf, toolWeaknessesOf } from "../../sweep/tool-rules.ts";
import type { Discovery } from "../services.ts";
import { TOOLS_PLACE } from "./place.ts";
import type { Contact } from "./scan-registry.ts";
import { NO_COUNTS, type PlacedObservation, type Sightings, unreadTarget } from "./sightings.ts";

interface ToolJudgement {
  readonly contacts: readonly Contact[];
  readonly identityKey: string;
  readonly signal: AbortSignal;
}

type Registered = Pick<Snapshot, "serverById" | "agentById">;
type ToolsById = ReadonlyMap<string, readonly ShownTool[]>;

/** Judging is work, and a hundred thousand tools are much of it: everybody else gets a turn this often. */
const TURN_MS = 20;

/** What the tools of registered servers try, and what servers can do together in the hands of one agent. */
export async function scanTools(snapshot: Registered, judgement: ToolJudgement): Promise<Sightings> {
  const { contacts, identityKey, signal } = judgement;
  const discoveries = new Map(contacts.map(({ serverId, discovery }) => [serverId, discovery]));
  const active = [...snapshot.serverById.values()].filter(({ server }) => server.status === "active");
  const toolsById = new Map(active.map((view) => [view.server.id, toolsOf(view, discoveries.get(view.server.id))]));
  const observations: PlacedObservation[] = [];
  let turnEndsAt = performance.now() + TURN_MS;
  for (const { server } of active) {
    if (signal.aborted) return unreadTarget("registry", "tools", "the time was over");
    observations.push(...ofServer(server.id, toolsById.get(server.id) ?? [], discoveries.get(server.id)));
    if (performance.now() < turnEndsAt) continue;
    await setImmediate();
    turnEndsAt = performance.now() + TURN_MS;
  }
  observations.push(...ofAgents(snapshot, toolsById, identityKey));
  return { observations, read: [TOOLS_PLACE], unread: [], coverage: [], counts: NO_COUNTS };
}

function ofServer(
  serverId: string,
  tools: readonly ShownTool[],
  discovery: Discovery | undefined,
): PlacedObservation[] {
  return toolWeaknessesOf(tools, discovery).map((weakness) =>
    observe({ ...weakness, kind: "security_risk", identity: `server:${serverId}`, serverId }),
  );
}

function ofAgents(
  { serverById, agentById }: Registered,
  toolsById: ToolsById,
  identityKey: string,
): PlacedObservation[] {
  const shadows = new Map<string, PlacedObservation>();
  const flows: PlacedObservation[] = [];
  for (const { agent, assignmentByServerId } of agentById.values()) {
    const ids = [...assignmentByServerId.keys()].filter((id) => toolsById.has(id));
    const views = ids.flatMap((id) => serverById.get(id) ?? []);
    for (const shadow of shadowsAmong(views, toolsById)) shadows.set(shadow.identity, shadow);
    flows.push(...flowsOf(agent, views, identityKey));
  }
  return [...shadows.values(), ...flows];
}

/** As the server shows them: what waits for review may be what was slipped in. */
function toolsOf({ toolByName }: ServerView, discovery: Discovery | undefined): readonly ShownTool[] {
  if (discovery?.state === "ok") return discovery.tools;
  return [...toolByName.values()].map(({ definition, pending }) => pending?.definition ?? definition);
}

function shadowsAmong(views: readonly ServerView[], toolsById: ToolsById): PlacedObservation[] {
  const idOf = new Map(views.map(({ server }) => [server.name, server.id]));
  const sources = views.map(({ server }) => ({ server: server.name, tools: toolsById.get(server.id) ?? [] }));
  return toolShadowsOf(sources).map(({ servers: [shadowing, shadowed], evidence }: ToolShadow) =>
    observe({
      code: "SHADOW-TOOL",
      kind: "security_risk",
      title: "tool that stands in another server's light",
      severity: "medium",
      confidence: 0.6,
      identity: `collision:${idOf.get(shadowing) ?? shadowing}|${idOf.get(shadowed) ?? shadowed}`,
      serverId: idOf.get(shadowing),
      evidence,
      remediation: "give the servers to different agents, or deny the tool by policy until its author has explained it",
    }),
  );
}

function flowsOf(
  { id, name }: { readonly id: string; readonly name: string },
  views: readonly ServerView[],
  identityKey: string,
): PlacedObservation[] {
  const sightings = views.map((view) => toSighting(view, `agent ${id}`, identityKey));
  return toxicFlowsOf(sightings).map(({ evidence, ...found }) =>
    observe({ ...found, instance: {}, evidence: `agent \`${name}\`: ${evidence}` }),
  );
}

function toSighting({ server, secrets }: ServerView, client: string, identityKey: string): Sighting {
  const { name, url, command } = server;
  const args = server.transport === "stdio" ? secrets().args : [];
  const source = { url: url ?? undefined, command: command ?? undefined, args };
  const entry = { env: {}, headers: {}, isEnabled: true, autoApproved: [] };
  return {
    server: { ...source, ...entry, name, source: "config", client, transport: "stdio" },
    identity: identify(source, identityKey),
  };
}

type Judged = Omit<PlacedObservation, "place" | "fix" | "instance"> & Partial<Pick<PlacedObservation, "instance">>;

function observe(judged: Judged): PlacedObservation {
  return { instance: {}, ...judged, place: TOOLS_PLACE, fix: { kind: "review" } };
}
