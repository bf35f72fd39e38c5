import type { ErrorCode } from "../lib/errors.ts";
import { AppError } from "../lib/errors.ts";
import type { EventFacts } from "./define-operation.ts";

/** A refusal that is an event: nothing changes, but the audit log says who tried what. */
export class RecordedRefusal extends AppError {
  readonly event: EventFacts;
  readonly reason: string;

  constructor({ code, message, reason }: { code: ErrorCode; message: string; reason: string }, event: EventFacts) {
    super(code, message, { details: { reason } });
    this.event = event;
    this.reason = reason;
  }
}
