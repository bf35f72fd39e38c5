import { createHash } from "node:crypto";
import type { AuditEventDraft, ResourceRef } from "../domain/audit-event.ts";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { Repositories, Store } from "../store/ports.ts";
import type { Caller, HandleContext, Interaction } from "./context.ts";
import type { Answer, EventFacts, Operation, OperationCall } from "./define-operation.ts";
import { findFirstAnswer, rememberAnswer } from "./idempotency.ts";
import { RecordedRefusal } from "./refused.ts";
import { withoutSecrets } from "./secret-members.ts";
import type { Services } from "./services.ts";

/** What running operations needs; one per process. */
export interface Runtime {
  readonly store: Store;
  readonly services: Services;
  readonly clock: Clock;
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
 * transaction. Throws `AppError`; whatever it throws, nothing has changed.
 */
export async function execute(operation: Operation, invocation: Invocation, runtime: Runtime): Promise<Answer> {
  const now = runtime.clock.now();
  if (!mayCall(operation, invocation.caller)) return refuseRole(operation, invocation, { ...runtime, now });
  const call = operation.start(invocation.input);
  const inputHash = createHash("sha256")
    .update(toCanonicalJson(invocation.input ?? {}))
    .digest("hex");
  const execution = { ...runtime, operation, invocation, call, now, inputHash };
  return operation.effect === "read" ? runRead(execution) : runMutation(execution);
}

async function runRead(execution: Execution): Promise<Answer> {
  await prepare(execution);
  return execution.store.read((repositories) => execution.call.handle(toContext(execution, repositories, true)));
}

async function runMutation(execution: Execution): Promise<Answer> {
  const { call, store } = execution;
  // Before the preparation too: a repeated call must not contact an endpoint again.
  const first = await store.read((repositories) => findFirstAnswer(repositories, toRepeatable(execution)));
  if (first !== undefined) return first;
  await prepare(execution);
  if (call.common.dryRun === true) return rehearse(execution);
  await requireConfirmation(execution);
  try {
    const { answer, isRepeated } = await store.transaction((repositories) => commit(execution, repositories));
    return isRepeated ? answer : call.complete(answer);
  } catch (error) {
    if (error instanceof RecordedRefusal) await recordRefusal(execution, error);
    throw error;
  }
}

/** The refused transaction is rolled back: its event has one of its own. */
async function recordRefusal(execution: Execution, { event, reason }: RecordedRefusal): Promise<void> {
  const draft = toDraft(execution, event, { outcome: "denied", reason });
  await execution.store.transaction((repositories) => repositories.audit.stage(draft));
}

async function commit(
  execution: Execution,
  repositories: Repositories,
): Promise<{ readonly answer: Answer; readonly isRepeated: boolean }> {
  const { call, operation } = execution;
  const first = await findFirstAnswer(repositories, toRepeatable(execution));
  if (first !== undefined) return { answer: first, isRepeated: true };
  const { event, output, summary } = await call.handle(toContext(execution, repositories, false));
  if (event !== undefined) await repositories.audit.stage(toDraft(execution, event));
  const answer = { output, summary };
  await rememberAnswer(repositories, toRepeatable(execution), withoutSecrets(answer, operation.secrets));
  return { answer, isRepeated: false };
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
      const { output, summary } = await execution.call.handle(toContext(execution, repositories, true));
      throw new Rehearsed({ output, summary });
    });
  } catch (error) {
    if (!(error instanceof Rehearsed)) throw error;
    return withoutSecrets(await execution.call.complete(error.answer), execution.operation.secrets);
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
  await call.prepare({
    caller: invocation.caller,
    services,
    now,
    signal: invocation.signal,
    correlationId: invocation.correlationId,
    interaction: invocation.interaction,
    isDryRun: operation.effect === "read" || call.common.dryRun === true,
    read: (work) => store.read(work),
    progress: (done, total, message) => invocation.progress?.(done, total, message),
  });
}

function mayCall({ roles, isForDevices }: Operation, { role, isDevice }: Caller): boolean {
  return isDevice === true ? isForDevices : roles.includes(role);
}

/** A mutation that the caller's role does not allow is an event too: it may be somebody trying a stolen key. */
async function refuseRole(
  operation: Operation,
  invocation: Invocation,
  runtime: Runtime & { readonly now: number },
): Promise<never> {
  if (operation.effect !== "read") {
    const resource: ResourceRef = { type: "operation", id: operation.name, name: operation.name };
    const facts = { operation, invocation, now: runtime.now, services: runtime.services };
    const draft = toDraft(facts, { resource }, { outcome: "denied", reason: "forbidden" });
    await runtime.store.transaction((repositories) => repositories.audit.stage(draft));
  }
  if (invocation.caller.isDevice === true) {
    throw new AppError("forbidden", `${operation.name} is not for devices; use an organization key`);
  }
  throw new AppError(
    "forbidden",
    `${operation.name} needs one of the roles ${operation.roles.join(", ")}; this caller has \`${invocation.caller.role}\``,
  );
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
