import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../lib/errors.ts";
import type { CallRefusal, CallReply, GuestCall } from "../sandbox/protocol.ts";
import type { SandboxLimits } from "../sandbox/limits.ts";
import { limitExceeded, type RunError } from "../sandbox/run-error.ts";
import { type CallJournal, CallKeys, type JournalEntry } from "./call-journal.ts";
import { type DeclaredTools, findUndeclared } from "./declared-tools.ts";
import type { HeldSlots } from "./held-slots.ts";
import type { CallerContext, RunProgress, ToolCaller, ToolCallOutcome } from "./ports.ts";

/** Inner calls of one run under way at a time; further ones wait their turn. */
const CALLS_AT_ONCE = 8;

export interface CallBrokerParts {
  readonly toolCaller: ToolCaller;
  readonly caller: CallerContext;
  readonly declared: DeclaredTools;
  readonly limits: SandboxLimits;
  readonly journal: CallJournal;
  readonly heldSlots: HeldSlots;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: RunProgress) => void;
  /** The run's clock, and its end for a reason that only the broker sees. */
  readonly control: { pause(): void; resume(): void; stop(error: RunError, approvalId?: string): void };
}

/** Between a run and the tools: what it may call, how much at once, and what was called already. */
export class CallBroker {
  readonly #parts: CallBrokerParts;
  readonly #keys = new CallKeys();
  readonly #replies = new Map<string, Promise<CallReply>>();
  readonly #made: JournalEntry[] = [];
  readonly #refusals = new Map<number, CallRefusal>();
  readonly #waiting: (() => void)[] = [];
  /** Approvals that calls of this run wait for, oldest first; one may be waited for twice. */
  readonly #held: string[] = [];
  /** Gives up the calls that wait for an approval. */
  readonly #giveUps = new Set<() => void>();
  #isEnding = false;
  #open = 0;
  #journalBytes = 0;
  #callsMade = 0;

  constructor(parts: CallBrokerParts) {
    this.#parts = parts;
    for (const entry of parts.journal) {
      this.#replies.set(entry.key, Promise.resolve(entry.reply));
      this.#made.push(entry);
    }
  }

  /** Calls sent during this run, without those answered from the journal. */
  get callsMade(): number {
    return this.#callsMade;
  }

  /** What the run waits for now, if it waits for a person. */
  get heldBy(): string | undefined {
    return this.#held[0];
  }

  /** The calls made so far, those of earlier runs included. */
  get journal(): CallJournal {
    return this.#made;
  }

  /** The refusal that was given to a call: its policies are ours, whatever the skill made of it. */
  findRefusal(call: number): CallRefusal | undefined {
    return this.#refusals.get(call);
  }

  /** Never rejects. The same call of a run that starts over joins the one under way. */
  async call(request: GuestCall, call: number): Promise<CallReply> {
    const undeclared = findUndeclared(this.#parts.declared, request.server, request.tool);
    const key = this.#keys.next(request);
    const reply = undeclared === undefined ? await this.#once(key, request) : refuse("forbidden", undeclared);
    if (!reply.ok) this.#refusals.set(call, reply.error);
    return reply;
  }

  /**
   * The run ends and will be continued: calls that were sent are waited for, `waitMs` at most, so that the continued run has their
   * answers and neither repeats nor loses them. No further one is sent.
   */
  async finish(waitMs: number): Promise<void> {
    this.#isEnding = true;
    for (const giveUp of this.#giveUps) giveUp();
    const late = new AbortController();
    const made = Promise.allSettled(this.#replies.values());
    await Promise.race([made, sleep(waitMs, undefined, { signal: late.signal, ref: false }).catch(() => undefined)]);
    late.abort();
  }

  restarted(): void {
    this.#keys.reset();
    this.#refusals.clear();
  }

  async #once(key: string, request: GuestCall): Promise<CallReply> {
    const known = this.#replies.get(key);
    if (known !== undefined) return this.#repeat(known, request);
    const made = this.#inTurn(async () => this.#make(key, request));
    this.#replies.set(key, made);
    return made;
  }

  /** An answer that was given before is given again only to whoever might still ask for it. */
  async #repeat(known: Promise<CallReply>, request: GuestCall): Promise<CallReply> {
    const { toolCaller, caller } = this.#parts;
    const reply = await known;
    // A refusal of ours says nothing of the server's.
    if (!reply.ok && reply.error.code !== "upstream_error") return reply;
    try {
      const error = await toolCaller.recheck({ ...request, caller });
      return error === undefined ? reply : { ok: false, error };
    } catch (error) {
      return { ok: false, error: toRefusal(error) };
    }
  }

  async #inTurn(make: () => Promise<CallReply>): Promise<CallReply> {
    if (this.#open >= CALLS_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#open += 1;
    try {
      return await make();
    } finally {
      // The place passes straight to the next in line, so that nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#open -= 1;
      else next();
    }
  }

  async #make(key: string, request: GuestCall): Promise<CallReply> {
    if (this.#isEnding || this.#parts.signal.aborted) return refuse("timeout", "the run was cancelled");
    const { server, tool } = request;
    this.#callsMade += 1;
    this.#parts.onProgress({ type: "call", server, tool, state: "started" });
    const outcome = await this.#ask(request);
    this.#parts.onProgress({ type: "call", server, tool, state: "ended" });
    if (outcome.status === "held") {
      this.#parts.control.stop(heldError(request, outcome.approvalId), outcome.approvalId);
      return refuse("unavailable", "the call waits for an approval");
    }
    if (outcome.status === "refused") {
      const reply: CallReply = { ok: false, error: outcome.error };
      if (outcome.wasSent) this.#record(key, reply);
      return reply;
    }
    return this.#accept(key, outcome.json);
  }

  #accept(key: string, json: string): CallReply {
    const { callResultBytes, journalBytes } = this.#parts.limits;
    const bytes = Buffer.byteLength(json);
    this.#journalBytes += bytes;
    if (bytes > callResultBytes || this.#journalBytes > journalBytes) {
      const limit = bytes > callResultBytes ? "callResultBytes" : "journalBytes";
      const error = limitExceeded(limit, "the skill received more than a run may hold; ask the tool for less");
      this.#parts.control.stop(error);
      return { ok: false, error };
    }
    const reply: CallReply = { ok: true, json };
    this.#record(key, reply);
    return reply;
  }

  #record(key: string, reply: CallReply): void {
    this.#made.push({ key, reply });
  }

  async #ask(request: GuestCall): Promise<ToolCallOutcome> {
    const { toolCaller, caller, signal, onProgress } = this.#parts;
    const { server, tool } = request;
    const end = Promise.withResolvers<ToolCallOutcome>();
    let release: (() => void) | undefined;
    const onHeld = (approvalId: string): void => {
      const giveUp = (): void => end.resolve({ status: "held", approvalId });
      if (this.#isEnding) return giveUp();
      this.#giveUps.add(giveUp);
      release ??= this.#hold(request, approvalId, giveUp);
      // The run ends first: what was held is not sent, or needs another approval to be sent again.
      signal.addEventListener("abort", giveUp, { once: true });
    };
    const call = toolCaller.callTool(
      { ...request, caller },
      {
        signal,
        onHeld,
        onProgress: ({ message }) => onProgress({ type: "progress", server, tool, message }),
      },
    );
    try {
      return await Promise.race([call, end.promise]);
    } catch (error) {
      return { status: "refused", error: toRefusal(error), wasSent: true };
    } finally {
      release?.();
    }
  }

  /** Stops the run's clock while a call is held. With no room for another paused run, it ends and can be continued. */
  #hold(request: GuestCall, approvalId: string, giveUp: () => void): () => void {
    const { heldSlots, control, onProgress } = this.#parts;
    const free = heldSlots.take(giveUp);
    if (free === undefined) {
      giveUp();
      return () => undefined;
    }
    onProgress({ type: "held", server: request.server, tool: request.tool, approvalId });
    this.#held.push(approvalId);
    control.pause();
    return () => {
      free();
      this.#held.splice(this.#held.indexOf(approvalId), 1);
      if (this.#held.length === 0) control.resume();
    };
  }
}

function refuse(code: string, message: string): CallReply {
  return { ok: false, error: { code, message } };
}

function heldError({ server, tool }: GuestCall, approvalId: string): RunError {
  const message = `the call of \`${server}/${tool}\` waits as approval \`${approvalId}\`; run the skill again when it is given`;
  return { code: "unavailable", message, details: { approvalId } };
}

function toRefusal(error: unknown): CallRefusal {
  if (error instanceof AppError) return { code: error.code, message: error.message };
  return { code: "internal", message: "the call failed on our side" };
}
