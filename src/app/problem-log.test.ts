import { Writable } from "node:stream";
import { pino } from "pino";
import { expect, test } from "vitest";
import { createProblemLog } from "./problem-log.ts";

test("logs the same trouble once in a while, and then how often it was left out", () => {
  const lines: unknown[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  let time = 0;
  const log = createProblemLog(pino({}, stream), () => time);
  for (; time < 5_000; time += 1) log("server `a`: refused", new Error("ECONNREFUSED"));
  log("server `b`: refused");
  log("server `a`: refused", new Error("ECONNREFUSED"));
  expect(lines).toMatchObject([
    { level: 50, msg: "server `a`: refused", err: { message: "ECONNREFUSED" } },
    { level: 50, msg: "server `b`: refused" },
    { level: 50, msg: "server `a`: refused", repeated: 4_999 },
  ]);
});
