import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GatheredBytes } from "./gathered-bytes.ts";

test("gives the bytes of all pieces in their order, once, and leaves the pieces as they are", () => {
  const piece = fc.uint8Array({ maxLength: 9 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(piece, { maxLength: 9 }), (first, second) => {
      const gathered = new GatheredBytes();
      for (const pieces of [first, second]) {
        const whole = Buffer.concat(pieces);
        for (const one of pieces) gathered.add(one);
        expect(gathered.length).toBe(whole.length);
        expect(Buffer.concat(pieces)).toEqual(whole);
        expect(gathered.take()).toEqual(whole);
        expect(gathered.length).toBe(0);
      }
    }),
  );
});

test("does not copy what comes in one piece", () => {
  const gathered = new GatheredBytes();
  const piece = Buffer.from("a");
  gathered.add(piece);
  expect(gathered.take()).toBe(piece);
});
