import type { ConfigScope } from "./client-definition.ts";

export type Transport = "stdio" | "http" | "sse" | "websocket";

/** The part of a server that its entry in a configuration alone tells. */
export interface ServerEntry {
  readonly name: string;
  readonly transport: Transport;
  readonly command?: string | undefined;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly isEnabled: boolean;
  /** Tools that run without a question to the user; `["*"]` is all. */
  readonly autoApproved: readonly string[];
}

/**
 * One server entry as a configuration, a process or a port showed it. It may hold secrets: it MUST NOT leave the process;
 * findings are what leaves.
 */
export interface DiscoveredServer extends ServerEntry {
  readonly source: "config" | "process" | "port" | "network";
  /** Id of the client in the table; absent for processes and ports. */
  readonly client?: string | undefined;
  readonly scope?: ConfigScope | undefined;
  readonly path?: string | undefined;
  readonly line?: number | undefined;
  readonly pid?: number | undefined;
  /** In which its process runs: runtime and id. */
  readonly container?: string | undefined;
  /** That answers, or the first one that its process listens on. */
  readonly port?: number | undefined;
  /** Where its process alone is reached, as the sockets of the machine tell (see `local-address.ts`). */
  readonly listensAt?: readonly string[] | undefined;
  /** What a probe learned: it answered without credentials, with these tools. */
  readonly probe?:
    | {
        readonly isOpen: boolean;
        readonly toolNames: readonly string[];
        readonly isDeclared: boolean;
        /** It listens on every address of this machine. */
        readonly isBoundToAll?: boolean | undefined;
      }
    | undefined;
  /** The file that it runs, where that is one on this machine. */
  readonly target?: { readonly isWritableByOthers: boolean; readonly sha256?: string | undefined } | undefined;
  readonly hasUnsafePermissions?: boolean | undefined;
}

/** A skill folder or a rule file that an agent reads. */
export interface DiscoveredSkill {
  readonly name: string;
  readonly kind: "skill" | "rules";
  readonly path: string;
  /** SHA-256 over the paths and contents of its files. */
  readonly digest: string;
  /** Where it was installed from, if a lock file says so; may be shown. */
  readonly source?: string | undefined;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** Files that cannot be analysed: binary, too large, too many. */
  readonly opaque: readonly string[];
}

/** An AI client or agent that is installed here. */
export interface DiscoveredInstall {
  readonly client: string;
  readonly title: string;
  readonly kind: "client" | "agent";
  /** What shows it: a file, or its address in a network. */
  readonly path?: string | undefined;
  readonly isRunning: boolean;
  readonly pid?: number | undefined;
  readonly container?: string | undefined;
}

/** A setting by which tools of a client run without a question to its user. */
export interface LooseApproval {
  readonly client: string;
  readonly path: string;
  readonly line?: number | undefined;
  readonly key: string;
  readonly what: string;
}

/** A file that is there and could not be understood. */
export interface ConfigProblem {
  readonly client: string;
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

/** What was read, and what was not and why: an empty list of findings means no more than this says. */
export interface CoverageEntry {
  readonly target: "host" | "network" | "processes" | "ports";
  readonly place: string;
  readonly status: "read" | "partial" | "skipped";
  readonly reason?: string | undefined;
  /** Of a partial one: what was left out is left out by every scan alike, so that two scans can be compared. */
  readonly isRepeatable?: boolean | undefined;
}

/** Everything that one place told. */
export interface Facts {
  readonly servers: readonly DiscoveredServer[];
  readonly skills: readonly DiscoveredSkill[];
  readonly installs: readonly DiscoveredInstall[];
  readonly problems: readonly ConfigProblem[];
  /** Of homes only. */
  readonly looseApprovals?: readonly LooseApproval[] | undefined;
  readonly coverage: readonly CoverageEntry[];
  readonly configsRead: number;
}
