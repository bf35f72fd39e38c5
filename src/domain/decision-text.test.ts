import { describe, expect, it } from "vitest";
import { JsonText } from "../lib/json-text.ts";
import type { DecisionDraft } from "./audit-event.ts";
import { decisionText } from "./decision-text.ts";

function decisionWith(details: DecisionDraft["details"]): DecisionDraft {
  return {
    id: "1",
    time: 5,
    actor: { type: "agent", id: "a", name: 'an "agent"', ip: undefined },
    action: "tool.call",
    resource: { type: "tool", id: "s/t", name: "s/t" },
    correlationId: "1",
    details,
  };
}

describe("decisionText", () => {
  it.each([
    ["no details", {}],
    ["arguments as a value", { arguments: { a: 1 }, tool: "t" }],
    ["arguments as text", { tool: "t", arguments: new JsonText('{"a":[1,"}"],"b":{}}'), argumentsAltered: true }],
    ["arguments as text alone", { arguments: new JsonText("{}") }],
  ])("is the decision as JSON: %s", (_, details) => {
    const decision = decisionWith(details);
    expect(JSON.parse(decisionText(decision))).toEqual(JSON.parse(JSON.stringify(decision)));
    expect(decisionText(decision)).not.toContain("\n");
  });
});
