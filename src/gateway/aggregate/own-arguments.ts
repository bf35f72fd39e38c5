import { memberOf, membersAt, parseEnvelope, type Envelope } from "../envelope/envelope.ts";
import type { Span } from "../envelope/json-scanner.ts";
import { splice } from "../splice.ts";

/**
 * The arguments of a tool call as they stand in its message; undefined for any other message. Reading them and writing them anew
 * would change numbers that a double does not hold.
 */
export function argumentsOf(message: Envelope): string | undefined {
  const args = placeOf(message);
  return args === undefined ? undefined : message.bytes.toString("utf8", args.start, args.end);
}

/** The member `arguments` of such arguments, which are what `call_tool` passes on. */
export function innerArgumentsOf(argumentsJson: string): string | undefined {
  const bytes = Buffer.from(argumentsJson);
  const inner = memberOf({ members: membersAt(bytes, { start: bytes.indexOf("{"), end: bytes.length }) }, "arguments");
  return inner === undefined ? undefined : bytes.toString("utf8", inner.start, inner.end);
}

/** The tool call with `argumentsJson` in the place of its arguments; any other message as it is. */
export function putArguments(message: string, argumentsJson: string): string {
  const bytes = Buffer.from(message);
  const args = placeOf(parseEnvelope(bytes));
  if (args === undefined) return message;
  return splice(bytes, [{ start: args.start, end: args.end, text: argumentsJson }]).toString("utf8");
}

function placeOf(message: Envelope): Span | undefined {
  const isCall = message.kind === "request" && message.method === "tools/call";
  return isCall ? memberOf(message.params, "arguments") : undefined;
}
