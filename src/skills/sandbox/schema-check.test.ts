import { expect, test } from "vitest";
import { checkSchema, checkSchemaItself, SchemaError } from "./schema-check.ts";

test("references that refer on to references multiply nothing", () => {
  const levels = Array.from({ length: 12 }, (_, level) => [
    `d${level}`,
    { allOf: Array.from({ length: 8 }, () => ({ $ref: `#/$defs/d${level + 1}` })) },
  ]);
  const schema = {
    $defs: { ...Object.fromEntries(levels), d12: { type: "object" } },
    properties: { a: { $ref: "#/$defs/d0" } },
  };
  const startedAt = process.cpuUsage();
  checkSchemaItself(JSON.stringify(schema));
  // 8^12 subschemas would never end.
  expect(process.cpuUsage(startedAt).user).toBeLessThan(5_000_000);
});

test("a reference still means its target", () => {
  const schema = JSON.stringify({ $defs: { n: { type: "number" } }, properties: { a: { $ref: "#/$defs/n" } } });
  expect(checkSchema(schema, { a: 1 })).toBeUndefined();
  expect(checkSchema(schema, { a: "1" })).toMatchObject({ path: "/a" });
});

function nested(levels: number): object {
  return levels === 0 ? {} : { not: nested(levels - 1) };
}

test.each([
  ["too many", { anyOf: Array.from({ length: 1000 }, () => ({ type: "string" })) }, /objects/],
  ["too deep", nested(40), /deep/],
])("refuses a schema that is %s before it is compiled", (_, schema, message) => {
  expect(() => checkSchemaItself(JSON.stringify(schema))).toThrow(SchemaError);
  expect(() => checkSchemaItself(JSON.stringify(schema))).toThrow(message);
});
