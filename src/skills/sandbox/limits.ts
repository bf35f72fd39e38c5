/** What one run may use. Sizes are bytes of UTF-8 or of the sandbox's memory, times are milliseconds. */
export interface SandboxLimits {
  readonly memoryBytes: number;
  /** Time that the skill's own code computes; waiting for a tool does not count. */
  readonly cpuMs: number;
  /** Time from start to end; the time that a call is held for an approval does not count. */
  readonly wallMs: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly logBytes: number;
  readonly logLinesMax: number;
  readonly callsMax: number;
  readonly callArgumentsBytes: number;
  readonly callResultBytes: number;
  /** All results of one run together: what a rerun may have to be given again. */
  readonly journalBytes: number;
}

const MIB = 1024 * 1024;

/**
 * Defaults: a skill is glue between tools. 32 MiB holds every result that a run may receive; one second of computing is a
 * thousand times what date formatting needs, and short enough that a runaway run hardly delays its neighbours.
 */
export const DEFAULT_LIMITS: SandboxLimits = {
  memoryBytes: 32 * MIB,
  cpuMs: 1_000,
  wallMs: 30_000,
  inputBytes: MIB,
  outputBytes: MIB,
  logBytes: 64 * 1024,
  logLinesMax: 1_000,
  callsMax: 100,
  callArgumentsBytes: 256 * 1024,
  callResultBytes: 2 * MIB,
  journalBytes: 8 * MIB,
};

/** Longest skill function that is compiled. */
export const CODE_BYTES_MAX = 256 * 1024;

/** Longest JSON Schema, as text, that is compiled. */
export const SCHEMA_BYTES_MAX = 64 * 1024;

/**
 * Objects and lists in one JSON Schema, each of which may hold a schema of its own, and their nesting. Compiling is work for
 * each: about a second for the worst within these. The largest schemas of public tools hold some hundred.
 */
export const SCHEMA_OBJECTS_MAX = 1000;
export const SCHEMA_DEPTH_MAX = 40;

/** Deepest nesting of a value that leaves the sandbox, so that no reader on the host recurses without bound. */
export const JSON_DEPTH_MAX = 64;
