import { expect, test } from "vitest";
import { assert } from "../lib/assert.ts";
import { type Circumstances, toContext } from "./request-context.ts";

const moment = { nowMs: 1_000, minuteOfDay: 90, weekday: "monday" };

test.each<[string, Partial<Circumstances>, readonly string[]]>([
  ["nothing else", {}, []],
  ["an address and a client", { ip: "10.0.0.1", client: "claude" }, ["ip", "client"]],
  ["what is no address", { ip: "unknown" }, []],
  ["an empty client", { client: "" }, ["client"]],
])("names what is known: the message and its moment, and %s", (_, known, more) => {
  const names = ["args", "kinds", "time", "weekday", "now", ...more];
  const context = toContext({ ...moment, ...known });
  expect(context.names()).toEqual(names);
  for (const name of ["args", "ip", "client", "names", "get", "kind", "__proto__", "constructor"])
    expect(context.get(name) !== undefined, name).toBe(names.includes(name));
});

test("asks for the arguments when they are read, and once", () => {
  let asked = 0;
  const args = (): unknown => {
    asked += 1;
    return { price: 1.5, tags: ["a"] };
  };
  const context = toContext({ ...moment, args });
  expect([context.get("time"), context.get("weekday"), context.get("now")]).toEqual([
    90,
    "monday",
    { kind: "datetime", ms: 1_000 },
  ]);
  expect(asked).toBe(0);
  expect(context.get("args")).toBe(context.get("args"));
  const kinds = context.get("kinds");
  assert(typeof kinds === "object" && kinds.kind === "set", "kinds are a set");
  expect([kinds.contains("price:decimal"), kinds.contains("tags:array"), kinds.contains("price:array")]).toEqual([
    true,
    true,
    false,
  ]);
  expect(asked).toBe(1);
});
