import { createMatcher } from "../../sweep/match.ts";
import { createObserver } from "../../sweep/observe.ts";
import type { Repositories } from "../../store/ports.ts";
import type { Services } from "../services.ts";
import { toRegistry } from "./registry-view.ts";
import { scanDevices } from "./scan-devices.ts";
import { scanHere } from "./scan-host.ts";
import type { ScanPlan } from "./scan-plan.ts";
import { readPolicyRecords } from "./scan-policies.ts";
import { type Contact, contactServers, judgeRegistry } from "./scan-registry.ts";
import { scanTools } from "./scan-tools.ts";
import type { Sightings } from "./sightings.ts";
import { createTally, type TalliedSightings } from "./tally-sightings.ts";

/** What a scan found, before it is stored. */
export interface ScanFindings {
  readonly sightings: TalliedSightings;
  readonly contacts: readonly Contact[];
}

export interface RunOptions {
  readonly services: Services;
  readonly now: number;
  /** Of the caller; when it fires the scan throws, and nothing is stored. */
  readonly signal: AbortSignal;
  readonly read: <T>(work: (repositories: Repositories) => Promise<T>) => Promise<T>;
  readonly progress: (done: number, total: number, message: string) => void;
}

/** Looks at everything that a plan names, within its time; what is late is said in the coverage. Changes nothing. */
export async function runPlan(plan: ScanPlan, options: RunOptions): Promise<ScanFindings> {
  const { services, signal, progress, now } = options;
  const host = services.sweepHost;
  const registry = toRegistry(services.snapshot(), services.publicUrl, now);
  const observe = createObserver(registry, host.identityKey);
  const withinTime = AbortSignal.any([signal, AbortSignal.timeout(plan.timeoutMs)]);
  const steps = plan.paths.length + plan.targets.length;
  let done = 0;
  const onStep = (message: string): void => {
    signal.throwIfAborted();
    progress(done, steps, message);
    done += 1;
  };
  // Devices take their time to answer: they are asked first and heard last.
  if (plan.deviceIds.length > 0)
    await services.deviceReports.request(now, plan.areDevicesNamed ? plan.deviceIds : undefined);
  const tally = createTally();
  tally.add(await scanHere(plan, { host, observe, signal: withinTime }, onStep));
  const contacts: Contact[] = [];
  if (plan.targets.includes("registry")) {
    onStep("contacting registered servers");
    const found = await scanRegistry(options, withinTime);
    contacts.push(...found.contacts);
    for (const part of found.sightings) tally.add(part);
  }
  if (plan.targets.includes("devices")) {
    onStep("waiting for devices");
    const matcher = createMatcher(registry, host.identityKey);
    let told = 0;
    // Progress only ever grows (MCP, progress): devices are parts of one step.
    const onAnswer = (settled: number, total: number, message: string): void => {
      if (settled > told) progress(done - 1 + settled / (total + 1), steps, message);
      told = Math.max(told, settled);
    };
    const network = await host.readNetwork();
    const asked = { ...options, matcher, network, signal: withinTime, askedAt: now, progress: onAnswer };
    await scanDevices(plan.deviceIds, asked, tally);
  }
  signal.throwIfAborted();
  progress(steps, steps, "done");
  return { sightings: tally.total, contacts };
}

/** Contacts what is registered and judges it: servers, agents, keys, policies and tools. */
async function scanRegistry(
  { services, read, now }: RunOptions,
  signal: AbortSignal,
): Promise<{ readonly contacts: readonly Contact[]; readonly sightings: readonly Sightings[] }> {
  const contacts = await contactServers(services, signal);
  const policies = await read((repositories) => readPolicyRecords(repositories, now));
  const peers = await read(({ servers }) => servers.peers(contacts.map(({ serverId }) => serverId)));
  const { identityKey } = services.sweepHost;
  const snapshot = services.snapshot();
  const sightings = [
    judgeRegistry(snapshot, { contacts, policies, peers, now }),
    await scanTools(snapshot, { contacts, identityKey, signal }),
  ];
  return { contacts, sightings };
}
