import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACTIONS } from "../domain/policy.ts";
import { withCedar } from "./cedar-library.ts";
import { parsePolicy } from "./parse-policy.ts";
import { CEDAR_SCHEMA, NAMESPACE } from "./schema.ts";

test("the published schema is valid and holds every action", () => {
  const answer = withCedar((cedar) => cedar.schemaToJson(CEDAR_SCHEMA));
  if (answer.type === "failure") throw new Error(JSON.stringify(answer.errors));
  expect(Object.keys(answer.json[NAMESPACE]?.actions ?? {}).toSorted()).toEqual([...ACTIONS].toSorted());
});

test("the documentation shows the schema as it is", () => {
  const page = readFileSync(new URL("../../docs/policies.md", import.meta.url), "utf8");
  expect(page).toContain(CEDAR_SCHEMA);
});

test("every example of Cedar in the documentation is a valid policy, or the conditions of one", () => {
  const page = readFileSync(new URL("../../docs/policies.md", import.meta.url), "utf8");
  const examples = [...page.matchAll(/```cedar\n([^`]+)```/g)].map(([, example = ""]) => example);
  expect(examples).toHaveLength(2);
  for (const example of examples) {
    const text = example.startsWith("when") ? `forbid (principal, action, resource) ${example};` : example;
    expect(() => parsePolicy(text)).not.toThrow();
  }
});
