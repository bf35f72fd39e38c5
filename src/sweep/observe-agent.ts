import { KEY_PREFIXES, toKeyHint } from "../domain/api-key.ts";
import type { DiscoveredInstall, DiscoveredServer } from "./facts.ts";
import type { Instance, Observation } from "./finding.ts";
import type { Identity } from "./identity.ts";
import { isBelow } from "./is-below.ts";
import type { Matcher } from "./match.ts";

/** What one place shows of its agents. */
export interface AgentPlace {
  readonly installs: readonly DiscoveredInstall[];
  readonly servers: readonly AgentServer[];
  /** Files and folders of it that could not be read. */
  readonly unread: readonly string[];
}

interface AgentServer {
  readonly server: Pick<DiscoveredServer, "client" | "isEnabled">;
  readonly identity: Identity;
  readonly keyHint: string | undefined;
}

/** What the homes of one machine told of its agents. They MUST be judged before its processes, which show no configuration. */
export interface MachineAgents {
  /** The clients that are accounted for in a home. */
  readonly accounted: Set<string>;
  hasUnreadHome: boolean;
}

export function createMachineAgents(): MachineAgents {
  return { accounted: new Set(), hasUnreadHome: false };
}

interface JudgeOptions {
  readonly matcher: Matcher;
  readonly origin: Instance;
  /** Undefined for networks: an address shows neither a configuration nor a machine. */
  readonly machine: MachineAgents | undefined;
}

/**
 * The autonomous agents of one place for which no active registered agent accounts; nothing for other clients. In a home the agent's own
 * configuration must lead to the gateway, so that one registered agent does not answer for those of other people and machines.
 */
export function agentObservations(place: AgentPlace, options: JudgeOptions): Observation[] {
  const agents = place.installs.filter(({ kind }) => kind === "agent");
  return agents.flatMap((install) => {
    const isAccounted = install.isRunning
      ? isRunningAccounted(install, options)
      : isInstallAccounted(install, place, options.matcher);
    if (!isAccounted) return [toObservation(install, options)];
    options.machine?.accounted.add(install.client);
    return [];
  });
}

const AGENT_KEY = new RegExp(`${KEY_PREFIXES.agent}[a-z2-7]{16,}`);

/** Of the agent key that an entry holds, which may be shown; undefined where it stands elsewhere, as in a variable. */
export function agentKeyHintOf({ headers, env, args }: Pick<DiscoveredServer, "headers" | "env" | "args">) {
  const [key] = AGENT_KEY.exec([...Object.values(headers), ...Object.values(env), ...args].join("\n")) ?? [];
  return key === undefined ? undefined : toKeyHint(key, "agent");
}

function isInstallAccounted({ client, path }: DiscoveredInstall, place: AgentPlace, matcher: Matcher): boolean {
  const isRouted = place.servers.some(
    ({ server, identity, keyHint }) =>
      server.client === client &&
      server.isEnabled &&
      matcher.standingOf(identity).status === "managed" &&
      matcher.isAgentRegistered(client, keyHint),
  );
  // What could not be read may lead to the gateway.
  const isUnknown = path !== undefined && place.unread.some((gap) => gap === path || isBelow(gap, path));
  return isRouted || (isUnknown && matcher.isAgentRegistered(client));
}

function isRunningAccounted({ client }: DiscoveredInstall, { matcher, machine }: JudgeOptions): boolean {
  if (machine === undefined) return false;
  return machine.accounted.has(client) || (machine.hasUnreadHome && matcher.isAgentRegistered(client));
}

function toObservation(install: DiscoveredInstall, { matcher, origin, machine }: JudgeOptions): Observation {
  const { client, title, path, isRunning, pid, container } = install;
  const state = isRunning ? "running" : "installed";
  const missing =
    isRunning && machine === undefined
      ? "nothing tells whether it is the registered one"
      : "no configuration read there leads it to the gateway with the key of an active agent of its kind";
  return {
    code: "SHADOW-AGENT",
    kind: "shadow_agent",
    title: "autonomous agent that nobody registered",
    severity: isRunning ? "high" : "medium",
    confidence: 1,
    identity: `agent:${client}`,
    evidence: matcher.isAgentRegistered(client) ? `${title} is ${state}; ${missing}` : `${title} is ${state}`,
    remediation:
      "register it as an agent with its own key and route its servers through the gateway (`runlayer connect`), or remove it",
    fix: { kind: "review" },
    instance: { ...origin, client, path, isRunning, pid, container },
  };
}
