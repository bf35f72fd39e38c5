import { isAbsolute, normalize } from "node:path";
import type { ScanTarget } from "../../domain/scan.ts";
import { AppError } from "../../lib/errors.ts";
import { DEFAULT_PORTS } from "../../sweep/network-scan.ts";
import type { PrepareContext } from "../context.ts";
import { isRevoked, revokedDevice } from "./revoked-devices.ts";

/** What a caller asks a scan to look at. */
export interface ScanRequest {
  readonly targets?: readonly ScanTarget[] | undefined;
  readonly networks?: readonly string[] | undefined;
  readonly ports?: readonly number[] | undefined;
  readonly paths?: readonly string[] | undefined;
  readonly devices?: readonly string[] | undefined;
  readonly timeoutSeconds?: number | undefined;
}

/** A scan that may start: everything in it was checked. */
export interface ScanPlan {
  readonly targets: readonly ScanTarget[];
  readonly networks: readonly string[];
  /** The addresses of the networks. */
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  readonly paths: readonly string[];
  /** Ids of the devices that are asked. */
  readonly deviceIds: readonly string[];
  /** The caller named them; else they are all that are enrolled. */
  readonly areDevicesNamed: boolean;
  readonly timeoutMs: number;
}

/** MCP clients commonly give up a call after 60 s. */
const TIMEOUT_SECONDS_DEFAULT = 50;

/** Checks a request before anything is read or contacted. Throws `invalid_input`, `not_found` for an unknown device, `conflict` for a revoked one. */
export async function planScan(request: ScanRequest, context: PrepareContext): Promise<ScanPlan> {
  const { services } = context;
  const allDevices = await listDeviceIds(request.devices, context);
  const networks = request.networks ?? [];
  const targets = request.targets ?? defaultTargets(networks, allDevices);
  refuseUnused(request, targets);
  const hosts = targets.includes("network") ? await services.sweepHost.expandNetworks(networks) : [];
  return {
    targets: [...new Set(targets)],
    networks,
    hosts,
    ports: request.ports ?? DEFAULT_PORTS,
    paths: targets.includes("host") ? homesOf(request.paths ?? [], services.sweepHost.home) : [],
    deviceIds: targets.includes("devices") ? allDevices : [],
    areDevicesNamed: request.devices !== undefined,
    timeoutMs: (request.timeoutSeconds ?? TIMEOUT_SECONDS_DEFAULT) * 1000,
  };
}

function defaultTargets(networks: readonly string[], devices: readonly string[]): ScanTarget[] {
  return [
    "host",
    ...(devices.length > 0 ? (["devices"] as const) : []),
    ...(networks.length > 0 ? (["network"] as const) : []),
    "registry",
  ];
}

/** A field that would be ignored is a mistake, and a network scan without a declared network scans nothing. */
function refuseUnused({ networks, ports, paths, devices }: ScanRequest, targets: readonly ScanTarget[]): void {
  if (networks !== undefined && !targets.includes("network")) throw misplaced("networks", "network");
  if (ports !== undefined && !targets.includes("network")) throw misplaced("ports", "network");
  if (paths !== undefined && !targets.includes("host")) throw misplaced("paths", "host");
  if (devices !== undefined && !targets.includes("devices")) throw misplaced("devices", "devices");
  if (targets.includes("network") && (networks ?? []).length === 0) {
    throw new AppError(
      "invalid_input",
      "the target `network` needs `networks`: ranges such as `10.0.0.0/24`, or hosts",
      {
        details: { field: "networks" },
      },
    );
  }
}

function misplaced(field: string, target: ScanTarget): AppError {
  return new AppError("invalid_input", `\`${field}\` needs the target \`${target}\`; add it to \`targets\``, {
    details: { field },
  });
}

function homesOf(paths: readonly string[], home: string): readonly string[] {
  const relative = paths.find((path) => !isAbsolute(path));
  if (relative !== undefined) {
    throw new AppError("invalid_input", `\`${relative}\` is not absolute; paths are those of the machine that serves`, {
      details: { field: "paths" },
    });
  }
  return [...new Set([home, ...paths.map((path) => normalize(path).replace(/(?<=.)\/+$/, ""))])];
}

/** Those that are named, else all that are not revoked. */
async function listDeviceIds(refs: readonly string[] | undefined, context: PrepareContext): Promise<string[]> {
  return context.read(async ({ devices }) => {
    if (refs === undefined) {
      const all = await devices.keys();
      return all.filter((device) => !isRevoked(device, context)).map(({ id }) => id);
    }
    const ids: string[] = [];
    for (const ref of refs) {
      const device = await devices.get(ref);
      if (isRevoked(device, context)) throw revokedDevice(device);
      ids.push(device.id);
    }
    return ids;
  });
}
