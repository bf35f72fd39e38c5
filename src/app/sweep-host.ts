import { createHmac } from "node:crypto";
import { stat } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { classifyAddress } from "../lib/egress/address-class.ts";
import { AppError } from "../lib/errors.ts";
import { lazily } from "../lib/lazily.ts";
import type { SweepHost } from "../operations/sweep/ports.ts";
import { homeContext } from "../sweep/homes.ts";
import { expandTargets, scanNetwork } from "../sweep/network-scan.ts";
import { readOwnNetwork } from "../sweep/local-address.ts";

/** What stands for this machine: its own, unless a test brings another. */
export interface Machine {
  readonly name: string;
  readonly home: string;
  readonly root: string;
  readonly procFolder: string;
}

export const THIS_MACHINE: Machine = { name: hostname(), home: homedir(), root: "/", procFolder: "/proc" };

// The readers of clients' files and of processes bring parsers of their own: they are loaded by the first scan.
const homeReaders = lazily(async () => ({
  ...(await import("../sweep/scan-home.ts")),
  ...(await import("./registered-digests.ts")),
}));
const processReader = lazily(() => import("../sweep/processes.ts"));

/** The machine that serves, as scans look at it. */
export function createSweepHost(machine: Machine, pepper: Buffer): SweepHost {
  const identityKey = createHmac("sha256", pepper).update("sweep identities").digest("hex");
  return {
    device: machine.name,
    home: machine.home,
    identityKey,
    async readHome(path, { seen, signal }) {
      await requireFolder(path);
      const { scanHome, withRegisteredDigests } = await homeReaders();
      return withRegisteredDigests(await scanHome({ ...homeContext(path, machine.root), seen, signal }));
    },
    readNetwork: () => readOwnNetwork(machine.procFolder, identityKey),
    async readProcesses(signal) {
      const { readProcesses } = await processReader();
      return readProcesses({ signal, procFolder: machine.procFolder });
    },
    async expandNetworks(networks) {
      const addresses = await expandTargets({ networks });
      for (const address of addresses) refuseAddress(address);
      return addresses;
    },
    probeNetwork: (targets, signal) => scanNetwork(targets, signal),
  };
}

/** What no server may be registered at is not probed either: cloud metadata, link-local, multicast. */
function refuseAddress(address: string): void {
  if (classifyAddress(address).kind !== "refused") return;
  throw new AppError("invalid_input", `\`${address}\` is never contacted: link-local, cloud metadata or multicast`, {
    details: { field: "networks" },
  });
}

async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new AppError(
      "not_found",
      "this folder does not exist or may not be read; name one that the serving account can read",
      { cause: error },
    );
  });
  if (!found.isDirectory()) throw new AppError("not_found", "this is no folder; name a home or a project folder");
}
