import { z } from "zod";
import type { AuditEventDraft, ResourceRef } from "../domain/audit-event.ts";
import type { Role } from "../domain/role.ts";
import { AppError } from "../lib/errors.ts";
import { isWellFormedDeep } from "../lib/json-values.ts";
import { commonFields, CommonInputSchema, type CommonInput } from "./common-fields.ts";
import type { HandleContext, PrepareContext } from "./context.ts";
import { parseInput } from "./parse-input.ts";

/** `destroy` asks for confirmation before it runs. */
export type Effect = "read" | "write" | "destroy";

/** What the audit event of a mutation says beyond caller, time and outcome. MUST hold no secret. */
export interface EventFacts {
  readonly resource: ResourceRef;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Policies that it is about. */
  readonly policies?: AuditEventDraft["policies"];
  /** Where the event belongs to others that came before; else that of the request. */
  readonly correlationId?: string | undefined;
}

type Handle<Input, Answer> = (input: Input, context: HandleContext) => Promise<Answer>;

/** Does slow work first, outside the transaction, and gives the handler that finishes inside it. */
type Prepare<Input, Answer> = (
  input: Input,
  context: PrepareContext,
) => Promise<((context: HandleContext) => Promise<Answer>) | Staged<Answer>>;

/** A handler, and what its answer still needs once the change is made. */
interface Staged<Answer> {
  handle(context: HandleContext): Promise<Answer>;
  /** Runs after the transaction, whose change it can neither delay nor undo: it MUST NOT throw for what it cannot find out. */
  complete(output: Answer): Promise<Answer>;
}

interface Common<Input, Answer> {
  /** The MCP tool's name and the OpenAPI operation id. */
  readonly name: string;
  readonly title: string;
  /** What it does, when to use it, what it returns. */
  readonly description: string;
  /** Its place below `/api/v1`: `GET /servers/{id}`. */
  readonly route: string;
  /** Its place in the CLI: `servers get`. */
  readonly command: string;
  readonly roles: readonly Role[];
  readonly effect: Effect;
  /** Device keys may call it too. */
  readonly isForDevices?: true;
  /** Takes an `idempotencyKey`: a repeated call creates nothing twice. */
  readonly isCreation?: true;
  /** Members of the output that only the first answer shows, by their path (`connection.config`). */
  readonly secrets?: readonly string[];
  /** The audit action of a mutation, `<object>.<verb>`. */
  readonly action?: string;
  /** Why this call needs `confirm`, where that depends on its input. A destructive operation always does. */
  needsConfirmation?(input: Input, context: HandleContext): Promise<boolean>;
  /** Of a mutation: what its audit event names. Undefined where nothing changed. */
  event?(output: Answer, input: Input): EventFacts | undefined;
  /** One sentence of our own words, ids, names and counts: a model that holds an administrator's key reads it. */
  summarize(output: Answer): string;
}

type Definition<I extends z.ZodRawShape, O extends z.ZodRawShape> = Common<
  z.output<z.ZodObject<I>>,
  z.output<z.ZodObject<O>>
> & {
  readonly input: z.ZodObject<I>;
  readonly output: z.ZodObject<O>;
} & (
    | { readonly handle: Handle<z.output<z.ZodObject<I>>, z.input<z.ZodObject<O>>> }
    | { readonly prepare: Prepare<z.output<z.ZodObject<I>>, z.input<z.ZodObject<O>>> }
  );

/** An operation as the registry and the surfaces see it: data, and a way to start one call. */
export interface Operation {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly route: string;
  readonly command: string;
  readonly roles: readonly Role[];
  readonly effect: Effect;
  readonly isForDevices: boolean;
  readonly isCreation: boolean;
  readonly secrets: readonly string[];
  readonly action: string | undefined;
  /** With the fields that the registry adds (`dryRun`, `confirm`, `idempotencyKey`). */
  readonly input: z.ZodObject;
  /** With the members that the registry adds (`secretOmitted`). */
  readonly output: z.ZodObject;
  /** Parses the input of one call; throws `invalid_input` that names each field at fault. */
  start(raw: unknown): OperationCall;
}

export interface Answer {
  readonly output: Readonly<Record<string, unknown>>;
  readonly summary: string;
}

/** One call with its parsed input. The registry runs the steps in this order; `handle` may run twice, once as a rehearsal. */
export interface OperationCall {
  readonly common: CommonInput;
  prepare(context: PrepareContext): Promise<void>;
  needsConfirmation(context: HandleContext): Promise<boolean>;
  handle(context: HandleContext): Promise<Answer & { readonly event: EventFacts | undefined }>;
  /** Adds to an answer of `handle` what is found out after the transaction. */
  complete(answer: Answer): Promise<Answer>;
}

/** Declares an operation once; the surfaces derive their faces from it and the registry runs it (see `execute.ts`). */
export function defineOperation<I extends z.ZodRawShape, O extends z.ZodRawShape>(
  definition: Definition<I, O>,
): Operation {
  const { name, title, description, route, command, roles, effect } = definition;
  const isCreation = definition.isCreation ?? false;
  const secrets = definition.secrets ?? [];
  const input = z.strictObject({ ...definition.input.shape, ...commonFields({ effect, isCreation }) });
  // Made once: the first parse of a schema compiles it.
  const own = definition.input.strip();
  return {
    name,
    title,
    description,
    route,
    command,
    roles,
    effect,
    isForDevices: definition.isForDevices ?? false,
    isCreation,
    secrets,
    input,
    action: definition.action,
    output: z.object({ ...definition.output.shape, ...secretOmission(secrets) }),
    start(raw = {}) {
      if (!isWellFormedDeep(raw))
        throw new AppError("invalid_input", "input: holds a lone surrogate; send well-formed Unicode");
      parseInput(input, raw);
      return startCall(definition, own.parse(raw), CommonInputSchema.parse(raw));
    },
  };
}

function startCall<I extends z.ZodRawShape, O extends z.ZodRawShape>(
  definition: Definition<I, O>,
  input: z.output<z.ZodObject<I>>,
  common: CommonInput,
): OperationCall {
  let finish = "handle" in definition ? (context: HandleContext) => definition.handle(input, context) : undefined;
  let complete: ((output: z.input<z.ZodObject<O>>) => Promise<z.input<z.ZodObject<O>>>) | undefined;
  let handled: z.input<z.ZodObject<O>> | undefined;
  return {
    common,
    async prepare(context) {
      if (!("prepare" in definition)) return;
      const prepared = await definition.prepare(input, context);
      const isPlain = typeof prepared === "function";
      finish = isPlain ? prepared : (handleContext) => prepared.handle(handleContext);
      complete = isPlain ? undefined : (output) => prepared.complete(output);
    },
    async needsConfirmation(context) {
      if (definition.effect === "destroy") return true;
      return (await definition.needsConfirmation?.(input, context)) ?? false;
    },
    async handle(context) {
      if (finish === undefined) throw new Error("invariant violated: prepare runs before handle");
      handled = await finish(context);
      const output = definition.output.parse(handled);
      return { output, summary: definition.summarize(output), event: definition.event?.(output, input) };
    },
    async complete(answer) {
      if (complete === undefined || handled === undefined) return answer;
      const output = definition.output.parse(await complete(handled));
      return { output, summary: definition.summarize(output) };
    },
  };
}

function secretOmission(secrets: readonly string[]) {
  if (secrets.length === 0) return {};
  return { secretOmitted: z.literal(true).optional().describe("Set where a repeated call leaves the secret out") };
}
