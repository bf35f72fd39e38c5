import type { VersionNegotiationOptions } from "@modelcontextprotocol/client";
import { AppError } from "../../lib/errors.ts";
import { createSecretMask, secretsOf, type SecretMask } from "../secret-mask.ts";
import { ChildTransport } from "../stdio/child-transport.ts";
import type { StdioChild, StdioSpec } from "../stdio/start-child.ts";
import type { StdioSupervisor } from "../stdio/supervisor.ts";
import { connect, type Connection, type HandshakeOptions } from "./handshake.ts";
import type { ProbeTarget } from "./target.ts";

/** Told of each child that the probe starts, so that it is stopped however the probe ends. */
export interface StdioProbeOptions extends HandshakeOptions {
  readonly supervisor: StdioSupervisor;
  readonly onStart: (child: StdioChild) => void;
  /** Under which the log shows what the command writes to its standard error. */
  readonly label: string;
}

// A server that knows `server/discover` answers at once; one that is silent is asked to `initialize` soon enough.
const DISCOVER_TIMEOUT_MS = 3000;

/**
 * Starts the command and opens MCP in the newest revision that it speaks. A server that ends when it is asked for one that it
 * does not know is started once more and asked for `initialize` only.
 */
export async function connectStdio(target: ProbeTarget, options: StdioProbeOptions): Promise<Connection> {
  const spec = specOf(target, options.label);
  const mask = createSecretMask(secretsOf(target));
  const first = await start(spec, options);
  const probe = { timeoutMs: Math.min(DISCOVER_TIMEOUT_MS, options.timeoutMs / 3) };
  try {
    return await open(first, { mode: "auto", probe }, { ...options, mask });
  } catch (error) {
    if (options.signal.aborted || options.contact.fault !== undefined || !(await hasEnded(first))) throw error;
    const second = await start(spec, options);
    try {
      return await open(second, { mode: "legacy" }, { ...options, mask });
    } catch (again) {
      if (!options.signal.aborted && (await hasEnded(second))) await explainEnd(second, options);
      throw again;
    }
  }
}

function specOf(target: ProbeTarget, label: string): StdioSpec {
  const { command, args, cwd, env, credential } = target;
  if (command === undefined || command === null)
    throw new AppError("invalid_input", "the server has no `command`; set one");
  const values = credential.type === "env" ? credential.values : {};
  return { command, args, cwd, env: { ...env, ...values }, label };
}

async function start(spec: StdioSpec, options: StdioProbeOptions): Promise<StdioChild> {
  const child = await options.supervisor.start(spec);
  options.onStart(child);
  // The probe may have ended while the system started the command; then nobody else stops it.
  if (options.signal.aborted) await child.stop();
  options.signal.throwIfAborted();
  return child;
}

function open(
  child: StdioChild,
  mode: VersionNegotiationOptions,
  options: StdioProbeOptions & { readonly mask: SecretMask | undefined },
): Promise<Connection> {
  const { contact, mask } = options;
  const onBytes = (bytes: number): void => {
    contact.answered();
    contact.receive(bytes);
  };
  const onTooLong = (bytesMax: number): void => void contact.fail(`sent a message larger than ${bytesMax} bytes`);
  return connect(new ChildTransport(child, { onBytes, onTooLong, mask }), mode, options);
}

/** Whether the child ended by itself: a failed handshake closes its input, which ends a sound server with code 0. */
async function hasEnded(child: StdioChild): Promise<boolean> {
  const { code, signal } = await child.exited;
  return code !== 0 || signal !== null;
}

async function explainEnd(child: StdioChild, { contact }: StdioProbeOptions): Promise<void> {
  const { code, signal } = await child.exited;
  const how = signal === null ? `code ${code}` : `signal ${signal}`;
  const couldNotRun = code === 126 || code === 127;
  contact.fail(
    couldNotRun
      ? "could not be started: the command or its folder is not there or not allowed; check `command` and `cwd`"
      : `ended with ${how} before it spoke MCP; the server log has its standard error`,
  );
  contact.lastWords = await child.lastWords();
}
