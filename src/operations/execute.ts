import { createHash } from "node:crypto";
import type { RepeatedDenials } from "../audit/repeated-denials.ts";
import type { AuditEventDraft } from "../domain/audit-event.ts";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { Repositories, Store } from "../store/ports.ts";
import type { Caller, HandleContext, Interaction } from "./context.ts";
import type { Answer, EventFacts, Operation, OperationCall } from "./define-operation.ts";
import { findFirstAnswer, rememberAnswer, replaceAnswer } from "./idempotency.ts";
import { readStanding, requireStanding } from "./require-standing.ts";
import { RecordedRefusal } from "./refused.ts";
import { withoutSecrets } from "./secret-members.ts";
import type { Services } from "./services.ts";

/** What running operations needs; one per process. */
export interface Runtime {
  readonly store: Store;
  readonly services: Services;
  readonly clock: Clock;
  readonly denials: Pick<RepeatedDenials, "record">;
}

/** One call as a surface received it. */
export interface Invocation {
  readonly caller: Caller;
  /** Unparsed. */
  readonly input: unknown;
  readonly signal: AbortSignal;
  readonly interaction?: Interaction | undefined;
  readonly progress?: ((done: number, total: number, message: string) => void) | undefined;
  readonly correlationId: string;
}

interface Execution extends Runtime {
  readonly operation: Operation;
  readonly invocation: Invocation;
  readonly call: OperationCall;
  readonly now: number;
  /** Identifies the input for repeated calls. */
  readonly inputHash: string;
}

/**
 * Runs one operation for one caller: role, input, repeated call, slow preparation, confirmation, then row and audit event in one
 * transaction. Throws `AppError`; whatever it throws, nothing has changed, or the same call with its `idempotencyKey` is answered.
 */
export async function execute(operation: Operation, invocation: Invocation, runtime: Runtime): Promise<Answer> {
  const now = runtime.clock.now();
  try {
    return await run(operation, invocation, { ...runtime, now });
  } catch (error) {
    if (error instanceof AppError) await recordRefusal(error, { ...runtime, operation, invocation, now });
    throw error;
  }
}

async function run(
  operation: Operation,
  invocation: Invocation,
  runtime: Runtime & Pick<Execution, "now">,
): Promise<Answer> {
  const { caller } = invocation;
  // The body was read since the caller was let in.
  requireStanding(caller, runtime.services.snapshot(), runtime.now);
  requireRole(operation, caller);
  const call = operation.start(invocation.input);
  const inputHash = createHash("sha256")
    .update(toCanonicalJson(invocation.input ?? {}))
    .digest("hex");
  const execution = { ...runtime, operation, invocation, call, inputHash };
  return operation.effect === "read" ? runRead(execution) : runMutation(execution);
}

async function runRead(execution: Execution): Promise<Answer> {
  await prepare(execution);
  return execution.store.readForCaller(async (repositories) => {
    requireStandingNow(execution);
    return execution.call.handle(toContext(execution, repositories, true));
  }, execution.invocation.signal);
}

async function runMutation(execution: Execution): Promise<Answer> {
  const { call, store } = execution;
  // Before the preparation too: a repeated call must not contact an endpoint again.
  if (call.common.idempotencyKey !== undefined) {
    const first = await store.read(async (repositories) => {
      requireStandingNow(execution);
      return findFirstAnswer(repositories, toRepeatable(execution));
    });
    if (first !== undefined) return first;
  }
  await prepare(execution);
  if (call.common.dryRun === true) return asDryRun(await rehearse(execution));
  await requireConfirmation(execution);
  const { answer, isRepeated } = await store.transaction((repositories) => commit(execution, repositories));
  return isRepeated ? answer : complete(execution, answer);
}

/** Most of a summary is about what was done: whoever reads no more than that must not take it for done. */
function asDryRun(answer: Answer): Answer {
  return { ...answer, summary: `Dry run, nothing has changed. Carried out, it would say: ${answer.summary}` };
}

/** What a repeated call is answered is what this one is, to the end. */
async function complete(execution: Execution, answer: Answer): Promise<Answer> {
  const { call, store, operation } = execution;
  const completed = await call.complete(answer);
  if (completed === answer || call.common.idempotencyKey === undefined) return completed;
  const kept = withoutSecrets(completed, operation.secrets);
  await store.transaction((repositories) => replaceAnswer(repositories, toRepeatable(execution), kept));
  return completed;
}

async function commit(
  execution: Execution,
  repositories: Repositories,
): Promise<{ readonly answer: Answer; readonly isRepeated: boolean }> {
  const { call, operation } = execution;
  await requireStandingOfRows(execution, repositories);
  const first = await findFirstAnswer(repositories, toRepeatable(execution));
  if (first !== undefined) return { answer: first, isRepeated: true };
  const { event, output, summary } = await call.handle(toContext(execution, repositories, false));
  if (event !== undefined) await repositories.audit.stage(toDraft(execution, event));
  const answer = { output, summary };
  await rememberAnswer(repositories, toRepeatable(execution), withoutSecrets(answer, operation.secrets));
  return { answer, isRepeated: false };
}

/** Again, once it is this call's turn: the preparation and the queue may have waited for others. */
function requireStandingNow({ invocation, services, clock }: Execution): void {
  requireStanding(invocation.caller, services.snapshot(), clock.now());
}

/** As `requireStandingNow`, in a writer's turn: the view does not show yet what the writer before has changed. */
async function requireStandingOfRows(
  { invocation, services, clock }: Execution,
  repositories: Repositories,
): Promise<void> {
  const { isBehind } = services.snapshot();
  const rows = await readStanding(invocation.caller, repositories);
  requireStanding(invocation.caller, { ...rows, isBehind }, clock.now());
}

/** Carries a finished rehearsal out of its transaction, which rolls back because something is thrown. */
class Rehearsed extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super("rehearsal finished");
    this.answer = answer;
  }
}

/** What the call would answer, with everything rolled back. */
async function rehearse(execution: Execution): Promise<Answer> {
  try {
    return await execution.store.transaction(async (repositories) => {
      await requireStandingOfRows(execution, repositories);
      const { output, summary } = await execution.call.handle(toContext(execution, repositories, true));
      throw new Rehearsed({ output, summary });
    });
  } catch (error) {
    if (!(error instanceof Rehearsed)) throw error;
    const completed = await execution.call.complete(error.answer);
    // The summary is of the call carried out, whose answer holds them.
    return { ...withoutSecrets(completed, execution.operation.secrets), summary: completed.summary };
  }
}

async function requireConfirmation(execution: Execution): Promise<void> {
  const { call, invocation, operation, store } = execution;
  if (call.common.confirm === true) return;
  const isNeeded = await store.read((repositories) => call.needsConfirmation(toContext(execution, repositories, true)));
  if (!isNeeded) return;
  const { output, summary } = await rehearse(execution);
  const impact = output["impact"] ?? output;
  const message = `${operation.title}: ${summary}`;
  if ((await invocation.interaction?.confirm({ message, impact })) === true) return;
  throw new AppError("confirmation_required", `${operation.name} needs \`confirm: true\`; nothing has changed`, {
    details: { impact },
  });
}

async function prepare(execution: Execution): Promise<void> {
  const { invocation, services, now, call, operation, store } = execution;
  const { signal } = invocation;
  const isRead = operation.effect === "read";
  await call.prepare({
    caller: invocation.caller,
    services,
    now,
    signal,
    correlationId: invocation.correlationId,
    interaction: invocation.interaction,
    isDryRun: isRead || call.common.dryRun === true,
    // What a change needs to know may be what cuts somebody off: it does not wait behind searches.
    read: (work) => (isRead ? store.readForCaller(work, signal) : store.read(work)),
    readAtLeisure: (work) => store.readForCaller(work, signal),
    progress: (done, total, message) => invocation.progress?.(done, total, message),
  });
}

function mayCall({ roles, isForDevices }: Operation, { role, isDevice }: Caller): boolean {
  return isDevice === true ? isForDevices : roles.includes(role);
}

function requireRole(operation: Operation, caller: Caller): void {
  if (mayCall(operation, caller)) return;
  if (caller.isDevice === true) {
    throw new AppError("forbidden", `${operation.name} is not for devices; use an organization key`);
  }
  throw new AppError(
    "forbidden",
    `${operation.name} needs one of the roles ${operation.roles.join(", ")}; this caller has \`${caller.role}\``,
  );
}

type Refused = Runtime & Pick<Execution, "operation" | "invocation" | "now">;

/**
 * A mutation that the caller may not make is an event too: it may be somebody trying a stolen key. What was refused is rolled back,
 * so the event has a transaction of its own.
 */
async function recordRefusal(error: AppError, refused: Refused): Promise<void> {
  const { operation, invocation, services } = refused;
  const isForbidden = error.code === "forbidden";
  const { actor } = invocation.caller;
  if (isForbidden && (actor.type === "key" || actor.type === "device")) services.noteKeyDenied(actor.id);
  if (operation.effect === "read") return;
  if (error instanceof RecordedRefusal) return recordDenial(error.event, error.reason, refused);
  if (isForbidden) return recordDenial(toForbiddenEvent(operation, error), "forbidden", refused);
}

/** Of the refusal itself only the field: a message may quote what the caller sent. */
function toForbiddenEvent({ name }: Operation, { details }: AppError): EventFacts {
  const field = details?.["field"];
  return { resource: { type: "operation", id: name, name }, details: typeof field === "string" ? { field } : {} };
}

/** By itself where it is the first of its kind, and durable before the answer; a flood of them is counted. */
function recordDenial(event: EventFacts, reason: string, refused: Refused): Promise<void> {
  const { store, denials } = refused;
  const draft = toDraft(refused, event, { outcome: "denied", reason });
  return denials.record(draft, (one) => store.transaction((repositories) => repositories.audit.stage(one)));
}

function toDraft(
  { operation, invocation, now, services }: Pick<Execution, "operation" | "invocation" | "now" | "services">,
  event: EventFacts,
  refusal?: { readonly outcome: "denied"; readonly reason: string },
): AuditEventDraft {
  return {
    id: services.newId(),
    time: now,
    actor: invocation.caller.actor,
    action: operation.action ?? operation.name,
    resource: event.resource,
    outcome: refusal?.outcome ?? "success",
    correlationId: event.correlationId ?? invocation.correlationId,
    ...(refusal === undefined ? {} : { reason: refusal.reason }),
    ...(event.policies === undefined ? {} : { policies: event.policies }),
    details: event.details ?? {},
  };
}

function toContext(execution: Execution, repositories: Repositories, isDryRun: boolean): HandleContext {
  return {
    caller: execution.invocation.caller,
    services: execution.services,
    now: execution.now,
    repositories,
    isDryRun,
    record: (action, event) => repositories.audit.stage({ ...toDraft(execution, event), action }),
  };
}

function toRepeatable({ call, invocation, operation, now, inputHash }: Execution) {
  return {
    callerId: invocation.caller.actor.id,
    key: call.common.idempotencyKey,
    operation: operation.name,
    inputHash,
    now,
  };
}
