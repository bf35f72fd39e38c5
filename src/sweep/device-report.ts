import { DEVICE_REPORT_CODES_JUDGED_BY_SERVER, type DeviceReportSection } from "./device-report-form.ts";
import type { DiscoveredServer, Facts } from "./facts.ts";
import { identify } from "./identity.ts";
import { EMPTY_REGISTRY } from "./match.ts";
import { agentKeyHintOf } from "./observe-agent.ts";
import { createObserver } from "./observe.ts";
import { visible } from "./server-rules.ts";

/** What the form takes of each list: one file with more than anyone has must not keep the device from reporting. */
const LISTED_MAX = 10_000;
const OBSERVATIONS_MAX = 20_000;
const EVIDENCE_CHARACTERS_MAX = 2000;
/** More addresses than a machine has; loopback comes first. */
const PLACES_MAX = 100;

/**
 * What may leave a device of the facts of one place. Secrets do not: servers are reduced to identities, weaknesses to masked
 * evidence. Whether something is registered the control plane judges, which alone knows.
 */
export function toReportSection(
  facts: Facts,
  place: Pick<DeviceReportSection, "place" | "path" | "user">,
  identityKey: string,
): DeviceReportSection {
  const own = facts.coverage.find((entry) => entry.place === place.path);
  const gaps = facts.coverage
    .filter(
      (entry) => entry !== own && entry.status !== "read" && (entry.target === "host" || entry.target === "ports"),
    )
    .map((entry) => ({ path: entry.target === "ports" ? "ports" : entry.place, reason: entry.reason ?? "not read" }));
  const observations = createObserver(EMPTY_REGISTRY, identityKey)(facts, {});
  const judged = observations.filter(({ code }) => !DEVICE_REPORT_CODES_JUDGED_BY_SERVER.has(code));
  // What is cut is not gone: a section that is not whole ends no finding.
  const isWhole =
    [facts.servers, facts.skills, gaps].every(({ length }) => length <= LISTED_MAX) &&
    judged.length <= OBSERVATIONS_MAX;
  return {
    ...place,
    isComplete: isWhole && (own === undefined || own.status === "read" || own.isRepeatable === true),
    unread: gaps.slice(0, LISTED_MAX),
    configsRead: facts.configsRead,
    servers: facts.servers.slice(0, LISTED_MAX).map((server) => toReportedServer(server, identityKey)),
    skills: facts.skills.slice(0, LISTED_MAX).map(({ name, kind, digest, path, source }) => ({
      name: visible(name),
      kind,
      digest,
      path,
      source,
    })),
    installs: [...facts.installs],
    observations: judged.slice(0, OBSERVATIONS_MAX).map(({ fix: _fix, instance, evidence, ...rest }) => ({
      ...rest,
      // It quotes what a file says, which may be of any length.
      evidence: evidence.slice(0, EVIDENCE_CHARACTERS_MAX).toWellFormed(),
      client: instance.client,
      path: instance.path,
      line: instance.line,
      isRunning: instance.isRunning,
      pid: instance.pid,
      port: instance.port,
      container: instance.container,
    })),
  };
}

function toReportedServer(found: DiscoveredServer, identityKey: string): DeviceReportSection["servers"][number] {
  const { source, client, path, line, pid, port, container, transport, isEnabled } = found;
  const { kind, family, exact, label, url, launch } = identify({ ...found, sha256: found.target?.sha256 }, identityKey);
  return {
    name: visible(found.name),
    source,
    client,
    path,
    line,
    pid,
    port,
    container,
    transport,
    listensAt: found.listensAt?.slice(0, PLACES_MAX),
    isEnabled,
    agentKeyHint: agentKeyHintOf(found),
    identity: { kind, family, exact, label, url, isBridged: launch !== undefined },
  };
}
