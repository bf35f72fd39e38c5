import { z } from "zod";

/* The form in which devices report. The control plane checks it as it checks any input: bounded, nothing believed but that somebody said it. */

/** Codes that depend on what is registered: the control plane judges them, a device that sends them is not believed. */
export const DEVICE_REPORT_CODES_JUDGED_BY_SERVER: ReadonlySet<string> = new Set([
  "SHADOW-SERVER",
  "BYPASS",
  "DRIFTED",
  "SHADOW-AGENT",
  "SHADOW-SKILL",
  "SKILL-MODIFIED",
]);

const Word = z.string().max(200);
const Path = z.string().max(4096);
const Line = z.int().min(0).optional();
const Pid = z.int().min(0).optional();
const Port = z.int().min(1).max(65_535).optional();

const Identity = z.object({
  kind: z.enum(["url", "pkg", "oci", "script", "bin", "cmd"]),
  family: z.string().max(2000),
  exact: z.string().max(2100),
  label: z.string().max(2000),
  url: z.string().max(2000).optional(),
  /** The address was an argument of a command. */
  isBridged: z.boolean(),
});

const Section = z.object({
  place: z.enum(["home", "processes"]),
  /** Of a home. */
  path: Path.optional(),
  user: Word.optional(),
  isComplete: z.boolean(),
  unread: z.array(z.object({ path: Path, reason: Word })).max(10_000),
  configsRead: z.int().min(0),
  servers: z
    .array(
      z.object({
        name: Word,
        source: z.enum(["config", "process", "port", "network"]),
        client: Word.optional(),
        path: Path.optional(),
        line: Line,
        pid: Pid,
        port: Port,
        container: Word.optional(),
        transport: z.enum(["stdio", "http", "sse", "websocket"]),
        listensAt: z.array(z.string().max(300)).max(100).optional(),
        isEnabled: z.boolean(),
        /** Older devices do not tell it. */
        agentKeyHint: Word.optional(),
        identity: Identity,
      }),
    )
    .max(10_000),
  skills: z
    .array(
      z.object({ name: Word, kind: z.enum(["skill", "rules"]), digest: Word, path: Path, source: Word.optional() }),
    )
    .max(10_000),
  installs: z
    .array(
      z.object({
        client: Word,
        title: Word,
        kind: z.enum(["client", "agent"]),
        path: Path.optional(),
        isRunning: z.boolean(),
        pid: Pid,
        container: Word.optional(),
      }),
    )
    .max(1000),
  observations: z
    .array(
      z.object({
        code: z.string().regex(/^[A-Z][A-Z-]{1,40}$/),
        kind: z.enum(["shadow_server", "shadow_agent", "shadow_skill", "policy_violation", "security_risk", "drift"]),
        title: Word,
        severity: z.enum(["critical", "high", "medium", "low", "info"]),
        confidence: z.number().min(0).max(1),
        identity: z.string().max(2100),
        evidence: z.string().max(2000),
        remediation: z.string().max(1000),
        client: Word.optional(),
        path: Path.optional(),
        line: Line,
        isRunning: z.boolean().optional(),
        pid: Pid,
        port: Port,
        container: Word.optional(),
      }),
    )
    .max(20_000),
});

/** One report of one device. */
export const DeviceReportForm = z.object({
  version: z.literal(1),
  /** Chosen by the device: the same report sent twice is one. */
  id: z.uuid(),
  takenAt: z.iso.datetime(),
  hostname: Word,
  platform: z.enum(["darwin", "linux", "win32"]),
  /** See `OwnNetwork`; older devices do not tell it. */
  networkId: Word.optional(),
  sections: z.array(Section).max(200),
});

export type DeviceReportForm = z.output<typeof DeviceReportForm>;
export type DeviceReportSection = z.output<typeof Section>;
