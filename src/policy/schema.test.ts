import { expect, test } from "vitest";
import { actionOfMethod, POLICY_ACTIONS } from "./actions.ts";
import { withCedar } from "./cedar-library.ts";
import { CEDAR_SCHEMA, NAMESPACE } from "./schema.ts";

test("the published schema is valid and holds every action", () => {
  const answer = withCedar((cedar) => cedar.schemaToJson(CEDAR_SCHEMA));
  if (answer.type === "failure") throw new Error(JSON.stringify(answer.errors));
  expect(Object.keys(answer.json[NAMESPACE]?.actions ?? {}).toSorted()).toEqual([...POLICY_ACTIONS].toSorted());
});

test("every method maps to one action; one that is not known maps to none", () => {
  expect(actionOfMethod("tools/call")).toBe("call_tool");
  expect(actionOfMethod("tools/Call")).toBeUndefined();
  expect(actionOfMethod("constructor")).toBeUndefined();
});
