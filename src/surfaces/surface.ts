import type { Operation } from "../operations/define-operation.ts";
import type { Runtime } from "../operations/execute.ts";
import type { Authenticate } from "./authentication.ts";

/** What every face needs: the operations, what runs them, who calls. Wired by the composition root. */
export interface Surface {
  readonly operations: readonly Operation[];
  readonly runtime: Runtime;
  readonly authenticate: Authenticate;
  /** The program's version. */
  readonly version: string;
  /** Takes what callers must not see: the error behind an `internal` answer. MUST NOT throw. */
  readonly reportError: (error: unknown, context: { readonly correlationId: string }) => void;
}

/** Where a request came from, as the listener determined it. */
export interface RequestOrigin {
  /** The client's address; behind a trusted proxy the forwarded one. */
  readonly ip: string | undefined;
}
