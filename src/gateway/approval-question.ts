import { memberOf, membersAt, parseEnvelope, textAt, valueAt, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Member } from "./envelope/json-scanner.ts";
import type { Exchange } from "./exchange.ts";
import { splice } from "./splice.ts";

const CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities";
const QUESTION = "approval";
const OWN_MEMBERS: ReadonlySet<string> = new Set(["requestState", "inputResponses"]);

/** A request of the stateless revision, without what belongs to our own question about an approval. */
export interface AnsweredQuestion {
  readonly envelope: RequestEnvelope;
  /** What the person said; undefined where this request repeats none of our questions. */
  readonly answer: "accept" | "decline" | undefined;
}

/** Takes our own request state and its answer out of a repeated request: the upstream asked nothing. */
export function takeAnswer(envelope: RequestEnvelope, { context, scope }: Exchange): AnsweredQuestion {
  const { bytes, params } = envelope;
  const state = textAt(bytes, memberOf(params, "requestState"));
  const isOwn = state !== undefined && context.sealer.open("approval", scope, state) !== undefined;
  if (!isOwn || params === undefined) return { envelope, answer: undefined };
  const said = memberOf({ members: membersAt(bytes, memberOf(params, "inputResponses")) }, QUESTION);
  const action = textAt(bytes, memberOf({ members: membersAt(bytes, said) }, "action"));
  const text = withoutMembers(bytes, params.members);
  const stripped = parseEnvelope(splice(bytes, [{ start: params.start, end: params.end, text }]));
  // Nothing but members of `params` went, so that it still is the request that it was.
  if (stripped.kind !== "request") return { envelope, answer: undefined };
  return { envelope: stripped, answer: action === "accept" ? "accept" : "decline" };
}

/** Whether this client can be asked in the answer: it declares forms, and no state of the upstream is on its way already. */
export function canAsk({ bytes, params }: RequestEnvelope): boolean {
  if (memberOf(params, "requestState") !== undefined) return false;
  const meta = { members: membersAt(bytes, memberOf(params, "_meta")) };
  const capabilities: unknown = valueAt(bytes, memberOf(meta, CAPABILITIES_KEY));
  const elicitation = memberOfValue(capabilities, "elicitation");
  if (typeof elicitation !== "object" || elicitation === null) return false;
  // 2025-11-25 and later: an empty declaration means forms.
  return Object.keys(elicitation).length === 0 || "form" in elicitation;
}

/** The answer that asks the person to wait for the decision (2026-07-28, multi round-trip requests). */
export function questionOf(
  { context, scope, idText }: Exchange,
  { approvalId, message }: { approvalId: string; message: string },
): Buffer {
  const text = `${message}. Accept to wait for the decision on approval \`${approvalId}\`, decline to give up this call.`;
  const form = { mode: "form", message: text, requestedSchema: { type: "object", properties: {} } };
  const result = {
    resultType: "input_required",
    inputRequests: { [QUESTION]: { method: "elicitation/create", params: form } },
    requestState: context.sealer.seal("approval", scope, approvalId),
  };
  return Buffer.from(`{"jsonrpc":"2.0","id":${idText},"result":${JSON.stringify(result)}}`);
}

function withoutMembers(bytes: Buffer, members: readonly Member[]): string {
  const kept = members
    .filter(({ name }) => !OWN_MEMBERS.has(name))
    .map(({ name, start, end }) => `${JSON.stringify(name)}:${bytes.toString("utf8", start, end)}`);
  return `{${kept.join(",")}}`;
}

function memberOfValue(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
