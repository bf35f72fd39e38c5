import { JsonText } from "../lib/json-text.ts";
import type { DecisionDraft } from "./audit-event.ts";

/** `JSON.stringify` of a decision but for the order of its members: arguments that are text already are not built for it. */
export function decisionText(decision: DecisionDraft): string {
  const { arguments: args, ...details } = decision.details;
  if (!(args instanceof JsonText)) return JSON.stringify(decision);
  const others = JSON.stringify(details).slice(1);
  const separator = others === "}" ? "" : ",";
  const head = JSON.stringify({ ...decision, details: undefined }).slice(0, -1);
  return `${head},"details":{"arguments":${args.text}${separator}${others}}`;
}
