import { createHash, randomBytes } from "node:crypto";
import {
  createRequestStateCodec,
  inputRequired,
  type InputRequiredResult,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import { escapeHiddenText } from "../lib/escape-hidden.ts";
import type { ConfirmationQuestion, Interaction } from "../operations/context.ts";

/** Unanswered for so long counts as declined (contract section 1). */
const ANSWER_MS_MAX = 60_000;
const IMPACT_CHARACTERS_MAX = 2_000;

const CONFIRM_FIELD = {
  type: "boolean",
  title: "Carry it out",
  description: "Off leaves everything as it is",
} as const;

const Accepted = z.object({ action: z.literal("accept"), content: z.object({ confirm: z.literal(true) }) });

/** What a question was about. An answer to another one, or of another caller, is no answer. */
const StateSchema = z.object({ question: z.string(), askedAt: z.number() });
type State = z.output<typeof StateSchema>;

/**
 * 2025 revisions: asks while the call is open. `mcpReq.send` keeps the question on the call's own stream; on the standalone
 * stream it is lost where the client has not opened one.
 */
export function askDuringCall(context: ServerContext): Interaction {
  return {
    async confirm(question) {
      try {
        const answer = await context.mcpReq.send(
          { method: "elicitation/create", params: toElicitation(question) },
          { timeout: ANSWER_MS_MAX, maxTotalTimeout: ANSWER_MS_MAX },
        );
        return Accepted.safeParse(answer).success;
      } catch {
        // No answer in time, a client that cannot ask after all, or one that has gone: nobody said yes.
        return false;
      }
    },
  };
}

/** Ends a call with a question (2026-07-28): the client asks and repeats the call with the answer. */
export class InputRequired extends Error {
  readonly result: InputRequiredResult;

  constructor(result: InputRequiredResult) {
    super("the person behind the call is asked first");
    this.result = result;
  }
}

export interface RoundTrips {
  /** Goes into the server's options: gives the state of a question, or null for one that is not ours (any more). */
  verify(state: string, context: ServerContext): Promise<State | null>;
  /** Asks by ending the call with `InputRequired`; on the repeated call, reads the answer. */
  ask(context: ServerContext, about: QuestionAbout): Interaction;
}

interface QuestionAbout {
  readonly callerId: string;
  readonly operation: string;
  readonly input: unknown;
}

/** Confirmations of the 2026-07-28 revision. The state is signed with a key of this process; another node asks again. */
export function createRoundTrips(now: () => number): RoundTrips {
  const codec = createRequestStateCodec<State>({ key: randomBytes(32) });
  return {
    async verify(state, context) {
      try {
        return await codec.verify(state, context);
      } catch {
        // Forged, expired, or of another node. Null makes the handler ask again; nothing is done on its word.
        return null;
      }
    },
    ask: (context, about) => ({
      async confirm(question) {
        const digest = toDigest(question, about);
        const state = StateSchema.safeParse(context.mcpReq.requestState());
        if (state.success && state.data.question === digest) {
          const isInTime = now() - state.data.askedAt <= ANSWER_MS_MAX;
          return isInTime && Accepted.safeParse(context.mcpReq.inputResponses?.["confirm"]).success;
        }
        const requestState = await codec.mint({ question: digest, askedAt: now() }, context);
        const elicitation = inputRequired.elicit(toElicitation(question));
        throw new InputRequired(inputRequired({ inputRequests: { confirm: elicitation }, requestState }));
      },
    }),
  };
}

/** Also of the impact that was shown: if it changed meanwhile, the person is asked again. */
function toDigest({ message, impact }: ConfirmationQuestion, about: QuestionAbout): string {
  const facts = { message, impact: JSON.stringify(impact ?? null), ...about, input: about.input ?? {} };
  return createHash("sha256").update(toCanonicalJson(facts)).digest("hex");
}

function toElicitation({ message, impact }: ConfirmationQuestion) {
  const shown = escapeHiddenText(JSON.stringify(impact ?? null, null, 2));
  const bounded = shown.length > IMPACT_CHARACTERS_MAX ? `${shown.slice(0, IMPACT_CHARACTERS_MAX)}…` : shown;
  return {
    mode: "form" as const,
    message: `${message}\n\nImpact: ${bounded}`,
    requestedSchema: { type: "object" as const, properties: { confirm: CONFIRM_FIELD }, required: ["confirm"] },
  };
}
