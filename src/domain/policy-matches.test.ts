import { expect, test } from "vitest";
import { anEvent } from "../../test/harness/audit.ts";
import { matchesOf } from "./policy-matches.ts";

const POLICY = { id: "0198c0de-0000-7000-8000-000000000001", name: "allow-dev" };

function matchesIn(action: string): number {
  const draft = anEvent({ action, outcome: "success", reason: undefined, policies: [POLICY] });
  return matchesOf({ ...draft, seq: 1, leafHash: "" }).length;
}

test("counts a long call once, not also where it is announced", () => {
  expect(matchesIn("tool.call")).toBe(1);
  expect(matchesIn("tool.started")).toBe(0);
});
