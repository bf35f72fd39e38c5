import type { Actor } from "../domain/audit-event.ts";
import type { Role } from "../domain/role.ts";
import type { Repositories } from "../store/ports.ts";
import type { EventFacts } from "./define-operation.ts";
import type { Services } from "./services.ts";

/** Who calls an operation, as the surface authenticated it. */
export interface Caller {
  readonly actor: Actor;
  readonly role: Role;
  /** The member who answers for the key or the session; null for a key without one. */
  readonly memberId: string | null;
  /** A device: it may call what is for devices and nothing else, whatever its role could. */
  readonly isDevice?: true | undefined;
}

/** The surface's line to the person behind the call, where the client has one (MCP elicitation, a terminal). */
export interface Interaction {
  /** Shows what would happen and asks. False where the person declines, cancels or does not answer in time. */
  confirm(question: ConfirmationQuestion): Promise<boolean>;
}

export interface ConfirmationQuestion {
  /** Our own words: which operation would do what. */
  readonly message: string;
  readonly impact: unknown;
}

/** What an operation may use while its transaction is open. MUST NOT be kept beyond it. */
export interface HandleContext {
  readonly caller: Caller;
  readonly repositories: Repositories;
  readonly services: Services;
  /** The time of the call, the same in every row and event it writes (milliseconds since the epoch). */
  readonly now: number;
  /** Records a change of its own, for an operation that makes several; under the correlation id of the call. */
  readonly record: (action: string, event: EventFacts) => Promise<void>;
  /** True where everything is rolled back afterwards: nothing outside the database may change. */
  readonly isDryRun: boolean;
}

/** What an operation may use before its transaction: slow work such as contacting an endpoint. MUST NOT change anything. */
export interface PrepareContext {
  readonly caller: Caller;
  readonly services: Services;
  readonly now: number;
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
  /** Of this call; events that the work records itself belong to it. */
  readonly correlationId: string;
  readonly interaction: Interaction | undefined;
  readonly read: <T>(work: (repositories: Repositories) => Promise<T>) => Promise<T>;
  /** For what may take seconds and only reports: it waits behind searches, and nothing waits for it. */
  readonly readAtLeisure: <T>(work: (repositories: Repositories) => Promise<T>) => Promise<T>;
  /** Tells the caller how far the work is. */
  readonly progress: (done: number, total: number, message: string) => void;
}
