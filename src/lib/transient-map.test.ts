import { array, assert, constantFrom, integer, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import { TransientMap } from "./transient-map.ts";

test("does what a map does, in the same order", () => {
  const step = tuple(constantFrom("set", "delete", "get"), integer({ min: 0, max: 40 }), integer());
  assert(
    property(array(step, { maxLength: 2_000, size: "max" }), (steps) => {
      const map = new TransientMap<number, number>();
      const model = new Map<number, number>();
      for (const [name, key, value] of steps) {
        if (name === "get") expect(map.get(key)).toBe(model.get(key));
        else if (name === "delete") expect(map.delete(key)).toBe(model.delete(key));
        else {
          map.set(key, value);
          model.set(key, value);
        }
        expect(map.size).toBe(model.size);
      }
      expect([...map.entries()]).toEqual([...model.entries()]);
      expect([...map.keys()]).toEqual([...model.keys()]);
      expect([...map.values()]).toEqual([...model.values()]);
    }),
    { numRuns: 50 },
  );
});

test("keeps what stays while others come and go", () => {
  const map = new TransientMap<number, string>();
  for (let key = 0; key < 1_000; key += 1) map.set(key, "stays");
  for (let key = 1_000; key < 100_000; key += 1) {
    map.set(key, "goes");
    map.delete(key);
  }
  expect(map.size).toBe(1_000);
  expect([...map.keys()]).toEqual(Array.from({ length: 1_000 }, (_, key) => key));
});
