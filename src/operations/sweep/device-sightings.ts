import type { Device } from "../../domain/device.ts";
import {
  DEVICE_REPORT_CODES_JUDGED_BY_SERVER,
  type DeviceReportForm,
  type DeviceReportSection,
} from "../../sweep/device-report-form.ts";
import type { Instance, Observation } from "../../sweep/finding.ts";
import type { Matcher } from "../../sweep/match.ts";
import { agentObservations, createMachineAgents, type MachineAgents } from "../../sweep/observe-agent.ts";
import { standingObservations } from "../../sweep/observe.ts";
import { skillStandingObservations } from "../../sweep/observe-skill.ts";
import { type OwnNetwork, withoutOwnPlaces } from "../../sweep/local-address.ts";
import { homePlace, processesPlace } from "./place.ts";
import { mergeSightings, type Sightings } from "./sightings.ts";

interface Reporter {
  readonly device: Device;
  readonly matcher: Matcher;
  /** Of the machine that judges. */
  readonly network: OwnNetwork;
}

/** What a device said, judged against what is registered now. */
export function judgeReport(report: DeviceReportForm, reporter: Reporter): Sightings {
  const { name } = reporter.device;
  // Only a device with the same loopback means by `localhost` what the registry means.
  const isHere = report.networkId === reporter.network.id;
  const placesOf = (places: readonly string[]) => (isHere ? places : withoutOwnPlaces(places, reporter.network));
  const machine = createMachineAgents();
  machine.hasUnreadHome = report.sections.some(({ place, isComplete }) => place === "home" && !isComplete);
  const homesFirst = report.sections.toSorted((left, right) => rankOf(left) - rankOf(right));
  const sections = mergeSightings(
    homesFirst.map((section) => judgeSection(asRegistered(section, reporter, placesOf), reporter, machine)),
  );
  const isComplete = report.sections.every((section) => section.isComplete);
  const read = {
    target: "devices",
    place: name,
    status: isComplete ? "read" : "partial",
    reason: isComplete ? undefined : "some folders were not read in full",
  } as const;
  return { ...sections, coverage: [read, ...sections.coverage], counts: { ...sections.counts, devices: 1 } };
}

function rankOf({ place }: DeviceReportSection): number {
  return place === "home" ? 0 : 1;
}

/** The section with each server that is registered by where it listens as that server, and with it what the device found wrong with its process. */
function asRegistered(
  section: DeviceReportSection,
  { matcher }: Reporter,
  placesOf: (places: readonly string[]) => readonly string[],
): DeviceReportSection {
  const families = new Map<string, string>();
  const servers = section.servers.map((server) => {
    const { launch: _none, ...identity } = matcher.identityAt(placesOf(server.listensAt ?? []), server.identity);
    families.set(toKey(server.pid, server.identity.family), identity.family);
    return { ...server, identity: { ...identity, isBridged: server.identity.isBridged } };
  });
  const observations = section.observations.map((observation) => {
    const { pid, identity } = observation;
    return pid === undefined
      ? observation
      : { ...observation, identity: families.get(toKey(pid, identity)) ?? identity };
  });
  return { ...section, servers, observations };
}

function toKey(pid: number | undefined, identity: string): string {
  return `${String(pid)}|${identity}`;
}

function judgeSection(section: DeviceReportSection, { device, matcher }: Reporter, machine: MachineAgents): Sightings {
  const isHome = section.place === "home" && section.path !== undefined;
  const place = isHome ? homePlace(device.id, section.path ?? "") : processesPlace(device.id);
  const origin: Instance = { device: device.name, user: section.user };
  // A client of the gateway holds its agent key in its configuration: that is how it is meant to be.
  const managed = new Set(
    section.servers.flatMap(({ identity }) =>
      matcher.standingOf(identity).status === "managed" ? identity.family : [],
    ),
  );
  const isNotOurs = ({ code, identity }: Observation): boolean => code !== "SECRET-INLINE" || !managed.has(identity);
  const found: readonly Observation[] = [
    ...section.servers.flatMap((server) => standingObservations(toSighting(server), matcher, origin)),
    ...agentObservations(toAgentPlace(section), { matcher, origin, machine }),
    ...section.skills.flatMap((skill) => skillStandingObservations(skill, matcher, origin)),
    ...ownObservations(section, origin).filter(isNotOurs),
  ];
  return {
    observations: found.map((observation) => ({ ...observation, place })),
    read: section.isComplete ? [place] : [],
    unread: section.unread.map(({ path }) => ({ place, path })),
    coverage: section.unread.map(({ path, reason }) => ({
      target: "devices",
      place: `${device.name}: ${path}`,
      status: "skipped",
      reason,
    })),
    counts: {
      configs: section.configsRead,
      servers: section.servers.length,
      skills: section.skills.length,
      agents: section.installs.length,
      devices: 0,
    },
  };
}

function toAgentPlace({ installs, servers, unread }: DeviceReportSection) {
  return {
    installs,
    servers: servers.map((server) => ({ ...toSighting(server), keyHint: server.agentKeyHint })),
    unread: unread.map(({ path }) => path),
  };
}

/** A device cannot say that our own probe reached an address: what it saw is as if read from a configuration. */
function toSighting({ identity, ...server }: DeviceReportSection["servers"][number]) {
  const source = server.source === "network" ? ("port" as const) : server.source;
  const launch = identity.isBridged ? BRIDGE : undefined;
  const { kind, family, exact, label, url } = identity;
  return {
    server: { ...server, source, args: [], env: {}, headers: {}, autoApproved: [] },
    identity: { kind, family, exact, label, url, launch },
  };
}

/** Only that there is one counts: the address of a bridge is never registered as it was found. */
const BRIDGE = { kind: "cmd", name: "bridge", pin: "local", rest: [] } as const;

function ownObservations({ observations }: DeviceReportSection, origin: Instance): Observation[] {
  return observations
    .filter(({ code }) => !DEVICE_REPORT_CODES_JUDGED_BY_SERVER.has(code))
    .map(({ client, path, line, isRunning, pid, port, container, ...rest }) => ({
      ...rest,
      fix: { kind: "review" },
      instance: { ...origin, client, path, line, isRunning, pid, port, container },
    }));
}
