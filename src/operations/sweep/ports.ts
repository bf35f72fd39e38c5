import type { Store } from "../../store/ports.ts";
import type { Facts } from "../../sweep/facts.ts";
import type { OwnNetwork } from "../../sweep/local-address.ts";

/** The machine that this process runs on, and the network around it. Facts may hold secrets: they MUST NOT be stored or shown. */
export interface SweepHost {
  /** How findings name this machine. */
  readonly device: string;
  /** The home of the account that serves. */
  readonly home: string;
  /** Under which identities and secrets are hashed: equal on all nodes and devices, so that they can be compared. */
  readonly identityKey: string;
  /** Leaves out what is `seen`, and adds to it; when the signal fires, gives what it has. Throws `not_found` for what is no folder. */
  readHome(path: string, options: { readonly seen: Set<string>; readonly signal: AbortSignal }): Promise<Facts>;
  readProcesses(signal: AbortSignal): Promise<Facts>;
  /** How this machine is reached, to tell it from others that report. */
  readNetwork(): Promise<OwnNetwork>;
  /** The addresses of declared networks; throws for what may not be probed, before anything is. */
  expandNetworks(networks: readonly string[]): Promise<readonly string[]>;
  /** Probes addresses that `expandNetworks` gave. */
  probeNetwork(
    targets: { readonly networks: readonly string[]; readonly ports: readonly number[] },
    signal: AbortSignal,
  ): Promise<Facts>;
}

/** One scan at a time on this node. */
export interface ScanSlot {
  /** Takes the slot; throws `conflict` while another scan has it. Gives what frees it. */
  acquire(): () => void;
  /**
   * Takes the slot and runs a scan after the caller's transaction, on its own; `work` MUST store its result itself. Throws `conflict`
   * while another scan has it.
   */
  startInBackground(work: (signal: AbortSignal, store: Store) => Promise<void>): void;
}

/** Asks enrolled devices for a fresh report: they learn of it when they check in. */
export interface DeviceReportRequests {
  /** Asks these devices; all where none are named. */
  request(at: number, deviceIds?: readonly string[]): Promise<void>;
  /** When a scan last asked this device; 0 for never. If its last report is older, it owes one. */
  requestedAt(deviceId: string): Promise<number>;
}
