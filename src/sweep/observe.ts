import { exposuresOf } from "./exposure-rules.ts";
import type { DiscoveredServer, Facts } from "./facts.ts";
import type { Fix, Instance, Observation } from "./finding.ts";
import { type Identity, identify } from "./identity.ts";
import { createMatcher, type Matcher, type Registry, type Standing } from "./match.ts";
import { agentKeyHintOf, agentObservations, type MachineAgents } from "./observe-agent.ts";
import { skillObservations } from "./observe-skill.ts";
import { isPrivateHost, type Sighting, visible, type Weakness, weaknessesOf } from "./server-rules.ts";
import { collisionsOf, toxicFlowsOf } from "./set-rules.ts";

/** Whose facts these are. */
export interface ObserveOrigin {
  readonly device?: string | undefined;
  readonly user?: string | undefined;
}

/** Judges the facts of one place; the same facts give the same observations. Places of one machine share what is known of its agents. */
export type Observer = (facts: Facts, origin: ObserveOrigin, machine?: MachineAgents) => Observation[];

/**
 * Prepares to judge many places against one registry. `hashKey` is the organization's: keyed hashes and some identities are comparable only under the
 * same key.
 */
export function createObserver(registry: Registry, hashKey: string): Observer {
  const judge = { matcher: createMatcher(registry, hashKey), hashKey };
  return (facts, origin, machine) => observe(facts, { ...judge, machine }, origin);
}

interface Judge {
  readonly matcher: Matcher;
  readonly hashKey: string;
  readonly machine: MachineAgents | undefined;
}

function observe(facts: Facts, judge: Judge, origin: ObserveOrigin): Observation[] {
  const sightings = facts.servers.map((server) => ({
    server,
    identity: judge.matcher.identityAt(
      server.listensAt ?? [],
      identify({ ...server, sha256: server.target?.sha256 }, judge.hashKey),
    ),
    keyHint: agentKeyHintOf(server),
  }));
  return [
    ...sightings.flatMap((sighting) => serverObservations(sighting, judge, origin)),
    ...[...collisionsOf(sightings), ...toxicFlowsOf(sightings)].map((found) => ({
      ...found,
      instance: { ...origin, ...found.instance },
    })),
    ...agentObservations(
      { installs: facts.installs, servers: sightings, unread: unreadOf(facts) },
      { ...judge, origin },
    ),
    ...facts.skills.flatMap((skill) => skillObservations(skill, judge.matcher, origin)),
    ...(facts.looseApprovals ?? []).map(({ client, path, line, key, what }): Observation => ({
      code: "AUTO-APPROVE",
      kind: "security_risk",
      title: "client that does not ask",
      severity: "medium",
      confidence: 1,
      identity: `client:${client}:${key}`,
      evidence: `\`${key}\` ${what}`,
      remediation: "take the setting out, and decide by policy at the gateway which tools need a person",
      fix: { kind: "review" },
      instance: { ...origin, client, path, line },
    })),
    ...facts.problems.map(({ client, path, line, column, reason }): Observation => ({
      code: "CONFIG-MALFORMED",
      kind: "security_risk",
      title: "configuration that could not be read",
      severity: "low",
      confidence: 1,
      identity: `file:${client}`,
      evidence: `could not be read: line ${String(line)}, column ${String(column)}: ${reason}`,
      remediation: "repair the file; what it configures is unknown to this scan",
      fix: { kind: "review" },
      instance: { ...origin, client, path, line },
    })),
  ];
}

function unreadOf({ coverage }: Facts): string[] {
  return coverage.filter(({ status }) => status !== "read").map(({ place }) => place);
}

function serverObservations(sighting: Sighting, { matcher, hashKey }: Judge, origin: ObserveOrigin): Observation[] {
  return [
    ...standingObservations(sighting, matcher, origin),
    ...toObservations(sighting, [...weaknessesOf(sighting, hashKey), ...exposuresOf(sighting)], origin).filter(
      isNotOurs(matcher.standingOf(sighting.identity)),
    ),
  ];
}

/** A client of the gateway holds its agent key in its configuration: that is how it is meant to be. */
function isNotOurs({ status }: Standing): (observation: Observation) => boolean {
  return ({ code }) => status !== "managed" || code !== "SECRET-INLINE";
}

/** Whether a server is registered and reached through the gateway; nothing where it is. */
export function standingObservations(sighting: Sighting, matcher: Matcher, origin: ObserveOrigin): Observation[] {
  const found = standingWeakness(sighting, matcher);
  return found === undefined ? [] : toObservations(sighting, [found], origin);
}

function toObservations(sighting: Sighting, found: readonly Weakness[], origin: ObserveOrigin): Observation[] {
  const { server, identity } = sighting;
  const instance: Instance = {
    ...origin,
    client: server.client,
    path: server.path,
    line: server.line,
    isRunning: server.source === "config" ? undefined : true,
    pid: server.pid,
    port: server.port,
    container: server.container,
  };
  return found.map((weakness) => ({
    kind: "security_risk",
    ...weakness,
    severity: server.isEnabled || weakness.code === "SECRET-INLINE" ? weakness.severity : "low",
    // A drift is about one version, everything else about the server whatever its version.
    identity: weakness.kind === "drift" ? identity.exact : identity.family,
    fix: weakness.code === "SHADOW-SERVER" ? fixOf(server, identity) : { kind: "review" },
    instance,
  }));
}

function standingWeakness({ server, identity }: Sighting, matcher: Matcher): Weakness | undefined {
  const standing = matcher.standingOf(identity);
  const name = visible(server.name);
  const state = server.isEnabled ? (server.source === "config" ? "configured" : "running") : "present but disabled";
  if (standing.status === "managed") return undefined;
  // A registered server that runs or answers where it is registered is where it should be; clients go around the gateway.
  if (standing.status === "registered_direct" && server.source !== "config") return undefined;
  if (standing.status === "registered_direct") {
    const configuration = matcher.configurationOf(server.client ?? "", standing.server);
    return {
      code: "BYPASS",
      kind: "policy_violation",
      title: "client that goes around the gateway",
      severity: "high",
      confidence: 1,
      evidence: `\`${name}\` goes straight to registered server \`${standing.server.name}\`: no policy and no audit apply`,
      remediation: `route it through the gateway; \`runlayer connect --replace\` puts this in its place, for its agent and with the key:\n${configuration}`,
    };
  }
  if (standing.status === "drifted") {
    return {
      code: "DRIFTED",
      kind: "drift",
      title: "registered server in another version or with other arguments",
      severity: "medium",
      confidence: 0.9,
      evidence: `\`${name}\` is \`${identity.label}\`, not as \`${standing.server.name}\` is registered`,
      remediation: "use the registered version through the gateway, or update the registration",
    };
  }
  return {
    code: "SHADOW-SERVER",
    kind: "shadow_server",
    title: "server that nobody registered",
    severity: server.source === "config" ? "medium" : "high",
    confidence: 1,
    evidence: `\`${name}\` (${identity.label}, ${server.transport}) is ${state}`,
    remediation:
      server.transport === "stdio"
        ? "decide whether it is wanted; if so, register a stdio server with the command that its owner names, and route the client through the gateway; if not, remove the entry"
        : "decide whether it is wanted; if so, register its address and route the client through the gateway; if not, remove the entry",
  };
}

/** Only a public address, or one that our own probe reached in a declared range, may be registered as it was found (contract section 4). */
function fixOf(server: DiscoveredServer, identity: Identity): Fix {
  const url = registrableUrl(identity);
  const isPrivate = url !== undefined && isPrivateHost(url.hostname);
  const isProbed = server.source === "network" && server.probe?.isDeclared === true;
  if (url === undefined || (isPrivate && !isProbed)) return { kind: "review" };
  const transport = server.transport === "sse" ? "sse" : "streamable-http";
  const fix = { kind: "register", name: registryName(url), url: url.href, transport } as const;
  return isPrivate ? { ...fix, allowPrivateNetwork: true } : fix;
}

/** A path with a hashed segment is not the address any more; the address of a bridge is an argument of a command, and stays out. */
function registrableUrl({ url: text, launch }: Identity): URL | undefined {
  if (text === undefined || launch !== undefined || text.includes("~") || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) ? url : undefined;
}

function registryName({ hostname, port }: URL): string {
  const words = `${hostname}${port === "" ? "" : `-${port}`}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return (/^(?:skill|runlayer)$/.test(words) ? `${words}-server` : words).slice(0, 60) || "server";
}
