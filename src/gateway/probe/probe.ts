import type { Implementation } from "@modelcontextprotocol/client";
import type { Egress } from "../../lib/egress/egress.ts";
import { AppError } from "../../lib/errors.ts";
import type { CredentialSource } from "../credentials.ts";
import { classifyFailure } from "./classify.ts";
import type { StdioChild } from "../stdio/start-child.ts";
import type { StdioSupervisor } from "../stdio/supervisor.ts";
import { connectStdio } from "./connect-stdio.ts";
import { Contact } from "./contact.ts";
import { type Connection, connectHttp, type HandshakeOptions } from "./handshake.ts";
import { createSecretMask, secretsOf } from "../secret-mask.ts";
import { listAll, type Lists } from "./list-all.ts";
import { createProbeFetch } from "./probe-fetch.ts";
import { type Discovery, PROBE_LIMITS, type ProbeLimits, type ProbeTarget } from "./target.ts";

export interface UpstreamProbeOptions {
  readonly egress: Egress;
  readonly credentials: CredentialSource;
  /** How the gateway names itself to upstreams. */
  readonly clientInfo: Implementation;
  readonly limits?: ProbeLimits | undefined;
  /** Starts stdio commands; without it they are not contacted. */
  readonly stdio?: StdioSupervisor | undefined;
}

export interface ProbeRequest {
  /** Of the whole contact; the answer comes within it, and a little for the goodbye. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Of the server, for the log; a contact without it is `discovery` there. */
  readonly name?: string | undefined;
}

/** Whether a credential works: `not_challenged` when the server answers as well without one, so that nothing is proved. */
export type CredentialVerification =
  | { readonly verified: true | "not_challenged" }
  | { readonly verified: false; readonly state: Discovery["state"]; readonly error: string };

/** Contacts upstream servers for what they are, not for an agent. */
export interface UpstreamProbe {
  /** Never throws for what the upstream does; throws only if `signal` aborts. */
  discover(target: ProbeTarget, request: ProbeRequest): Promise<Discovery>;
  /** Tries the target's credential, then the server without any. */
  verifyCredential(target: ProbeTarget, request: ProbeRequest): Promise<CredentialVerification>;
}

interface Attempt extends ProbeRequest {
  readonly only?: "tools" | undefined;
}

const NOTHING: Lists = { tools: [], resources: [], prompts: [], leftOut: 0 };

/** Makes a probe; it holds nothing between contacts. */
export function createUpstreamProbe(options: UpstreamProbeOptions): UpstreamProbe {
  const limits = options.limits ?? PROBE_LIMITS;

  async function contactOnce(target: ProbeTarget, attempt: Attempt): Promise<Discovery> {
    const contact = new Contact(limits.bytesMax);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new DOMException("no time left", "TimeoutError")), attempt.timeoutMs);
    const { signal: caller } = attempt;
    const signal = caller === undefined ? deadline.signal : AbortSignal.any([deadline.signal, caller]);
    const seen: Seen = { children: [] };
    const run: Run = { target, contact, signal, attempt, seen, egress: options.egress };
    try {
      const lists = await raceAbort(openAndList(run), signal);
      return describe(run, { state: "ok", lists, error: leftOutNote(lists.leftOut) });
    } catch (error) {
      caller?.throwIfAborted();
      const failure = classifyFailure(error, contact, attempt.timeoutMs);
      return describe(run, { ...failure, lists: NOTHING });
    } finally {
      clearTimeout(timer);
      // Stopping a stubborn child takes seconds; the supervisor answers for its end, the caller need not wait.
      for (const child of seen.children) void child.stop();
      if (target.transport !== "stdio") await seen.connection?.close().catch(() => undefined);
      // Ends what the SDK may have left open: streams, retries, a handshake that lost the race.
      deadline.abort();
    }
  }

  async function openAndList(run: Run): Promise<Lists> {
    const { contact, signal, attempt } = run;
    const handshake = { clientInfo: options.clientInfo, contact, signal, timeoutMs: attempt.timeoutMs };
    const connection = await open(run, handshake, options);
    run.seen.connection = connection;
    if (signal.aborted) await connection.close();
    return listAll({ client: connection.client, contact, limits, signal, timeoutMs: attempt.timeoutMs }, attempt.only);
  }

  return {
    discover: (target, request) => contactOnce(target, request),
    async verifyCredential(target, request) {
      const withIt = await contactOnce(target, { ...request, only: "tools" });
      if (withIt.state !== "ok") return { verified: false, state: withIt.state, error: withIt.error ?? withIt.state };
      if (target.credential.type === "none") return { verified: "not_challenged" };
      const without = await contactOnce({ ...target, credential: { type: "none" } }, { ...request, only: "tools" });
      return { verified: without.state === "ok" ? "not_challenged" : true };
    },
  };
}

async function open(run: Run, handshake: HandshakeOptions, options: UpstreamProbeOptions): Promise<Connection> {
  const { target, contact, signal, seen, attempt } = run;
  if (target.transport === "stdio") {
    if (options.stdio === undefined) throw new AppError("forbidden", "stdio servers are not allowed on this node");
    const onStart = (child: StdioChild): void => void seen.children.push(child);
    return connectStdio(target, {
      ...handshake,
      supervisor: options.stdio,
      onStart,
      label: attempt.name ?? "discovery",
    });
  }
  if (target.url === undefined || target.url === null) {
    throw new AppError("invalid_input", "the server has no `url`; set one");
  }
  const url = options.egress.check(target.url, target);
  const credentialHeaders = await options.credentials.headersFor(target.credential, target);
  const token = (credentialHeaders["authorization"] ?? "").replace(/^(?:Bearer|Basic) /, "");
  const mask = createSecretMask([...secretsOf(target), token]);
  const fetch = createProbeFetch({ egress: options.egress, target, url, credentialHeaders, contact, mask, signal });
  return connectHttp({ transport: target.transport, url, fetch }, handshake);
}

/** What a run leaves for its end, however it ends. */
interface Seen {
  readonly children: StdioChild[];
  connection?: Connection;
}

interface Run {
  readonly target: ProbeTarget;
  readonly contact: Contact;
  readonly signal: AbortSignal;
  readonly attempt: Attempt;
  readonly seen: Seen;
  readonly egress: Egress;
}

interface Outcome {
  readonly state: Discovery["state"];
  readonly lists: Lists;
  readonly error: string | undefined;
}

function describe({ seen, contact, target, egress }: Run, { state, lists, error }: Outcome): Discovery {
  const client = seen.connection?.client;
  const server = client?.getServerVersion();
  return {
    state,
    protocolVersion: client?.getNegotiatedProtocolVersion(),
    serverInfo: server === undefined ? undefined : { name: server.name, version: server.version },
    instructions: client?.getInstructions(),
    tools: lists.tools,
    resources: lists.resources,
    prompts: lists.prompts,
    leftOut: lists.leftOut,
    peer: peerOf(target, egress),
    latencyMs: contact.latencyMs ?? contact.elapsedMs(),
    error,
    lastWords: contact.lastWords,
  };
}

function peerOf({ transport, url }: ProbeTarget, egress: Egress): Discovery["peer"] {
  const parsed = transport === "stdio" ? null : URL.parse(url ?? "");
  return parsed === null ? undefined : egress.peerOf(parsed);
}

function leftOutNote(leftOut: number): string | undefined {
  return leftOut === 0 ? undefined : `${leftOut} list items are malformed, too deep or listed twice and were left out`;
}

/** The work's answer, or the abort's reason at once: an SDK that does not stop cannot make us late. */
async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  // Whichever loses may still fail; the winner has been reported.
  work.catch(() => undefined);
  aborted.catch(() => undefined);
  return Promise.race([work, aborted]);
}
