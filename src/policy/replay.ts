import type { CompiledPolicy } from "./compiled-policy.ts";
import type { Decision, DecisionSettings } from "./decide.ts";
import { decideMessage, type Message, refuseConnect } from "./decide-message.ts";
import { evaluatePartially, OPEN_IN_RECORDS } from "./evaluate.ts";
import { isSureError } from "./operators.ts";
import type { PolicyIndex } from "./policy-index.ts";
import type { Result } from "./value.ts";

/** A recorded call, rebuilt as a message. */
export interface RecordedCall {
  /** Unset when the record does not hold enough to rebuild it, for example an agent that is gone. */
  readonly message?: Message | undefined;
  /** False when the arguments were not kept as they were (`auditPayloads`): then only what does not depend on them counts. */
  readonly hasArguments: boolean;
  /** What an example shows of it. */
  readonly example: CallExample;
}

export interface CallExample {
  readonly agent: string;
  readonly server: string;
  readonly tool: string;
  readonly time: string;
  readonly arguments?: unknown;
}

export interface ReplayRules {
  readonly index: PolicyIndex;
  readonly settings: DecisionSettings;
}

export interface ReplayResult {
  readonly replayed: number;
  readonly newlyDenied: number;
  readonly newlyAllowed: number;
  readonly newlyHeld: number;
  /** Calls whose record does not suffice to tell. Not counted in the others. */
  readonly undetermined: number;
  readonly examples: readonly (CallExample & { readonly before: Outcome; readonly after: Outcome })[];
}

type Outcome = Decision["decision"];
type Counted = "newlyDenied" | "newlyAllowed" | "newlyHeld";

const COUNTER: Readonly<Record<Outcome, Counted>> = { deny: "newlyDenied", allow: "newlyAllowed", held: "newlyHeld" };
/** Enough to recognize a pattern; an answer must stay readable. */
const EXAMPLES_PER_OUTCOME = 5;

/** Decides recorded calls under the old and the new rules and counts what would have changed. */
export function replay(calls: Iterable<RecordedCall>, before: ReplayRules, after: ReplayRules): ReplayResult {
  const counts = { replayed: 0, newlyDenied: 0, newlyAllowed: 0, newlyHeld: 0, undetermined: 0 };
  const examples: ReplayResult["examples"][number][] = [];
  for (const call of calls) {
    counts.replayed += 1;
    const change = compare(call, before, after);
    if (change === "same") continue;
    if (change === "undetermined") {
      counts.undetermined += 1;
      continue;
    }
    const counter = COUNTER[change.after];
    counts[counter] += 1;
    if (counts[counter] <= EXAMPLES_PER_OUTCOME) examples.push({ ...call.example, ...change });
  }
  return { ...counts, examples };
}

type Change = "same" | "undetermined" | { readonly before: Outcome; readonly after: Outcome };

function compare({ message, hasArguments }: RecordedCall, before: ReplayRules, after: ReplayRules): Change {
  if (message === undefined) return "undetermined";
  if (!hasArguments) return compareWithoutArguments(message, before, after);
  return changeFrom(decideCall(message, before), decideCall(message, after));
}

function compareWithoutArguments(message: Message, before: ReplayRules, after: ReplayRules): Change {
  const was = decideWithoutArguments(message, before);
  const is = decideWithoutArguments(message, after);
  if (was.outcome !== undefined && is.outcome !== undefined) return changeFrom(was.outcome, is.outcome);
  // The same rules speak about the call: whatever they say, they say it still.
  const isUntouched =
    before.settings.assignmentGrantsAccess === after.settings.assignmentGrantsAccess &&
    sameMembers(was.heard, is.heard);
  return isUntouched ? "same" : "undetermined";
}

function changeFrom(before: Outcome, after: Outcome): Change {
  return before === after ? "same" : { before, after };
}

function decideCall(message: Message, { index, settings }: ReplayRules): Outcome {
  return decideMessage(index, message, settings).decision;
}

interface PartialDecision {
  /** `undefined` if it depends on the arguments. */
  readonly outcome: Outcome | undefined;
  /** The enforced policies that match, fail, or may do so. */
  readonly heard: ReadonlySet<CompiledPolicy>;
}

const NOT_CONNECTED: PartialDecision = { outcome: "deny", heard: new Set() };

function decideWithoutArguments({ request, connect }: Message, { index, settings }: ReplayRules): PartialDecision {
  // To connect takes no arguments: what policies say of it is known.
  if (connect !== undefined && refuseConnect(index, connect) !== undefined) return NOT_CONNECTED;
  const heard = new Map<CompiledPolicy, Result>();
  evaluatePartially(index, { request, open: OPEN_IN_RECORDS }, (policy, result) => {
    if (policy.mode === "enforce" && result !== false) heard.set(policy, result);
  });
  return { outcome: sureOutcome(heard, settings), heard: new Set(heard.keys()) };
}

function sureOutcome(heard: ReadonlyMap<CompiledPolicy, Result>, settings: DecisionSettings): Outcome | undefined {
  const matching = [...heard].filter(([, result]) => result === true).map(([{ effect }]) => effect);
  const results = [...heard.values()];
  if (matching.includes("deny") || results.some(isSureError)) return "deny";
  if (results.some((result) => result !== true)) return undefined;
  if (!matching.includes("allow") && !settings.assignmentGrantsAccess) return "deny";
  return matching.includes("require_approval") ? "held" : "allow";
}

function sameMembers<T>(left: ReadonlySet<T>, right: ReadonlySet<T>): boolean {
  return left.size === right.size && [...left].every((item) => right.has(item));
}
