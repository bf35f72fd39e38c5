import { expect, test } from "vitest";
import { toStoreError } from "../store/sql/to-store-error.ts";
import { attempt } from "./attempt.ts";

test("says why the database cannot serve, because the command has no log that does", async () => {
  const printed: string[] = [];
  const codes: number[] = [];
  const full = Object.assign(new Error("database or disk is full (SQLITE_FULL)\n    at native"), {
    code: "SQLITE_FULL",
  });
  const print = (text: string): void => void printed.push(text);
  const terminal = { env: {}, print, printError: print, confirm: () => Promise.resolve(false) };
  const setExitCode = (code: number): void => void codes.push(code);
  await attempt({ process: terminal, setExitCode }, () => Promise.reject(toStoreError(full)));
  expect(printed).toEqual([expect.stringMatching(/^runlayer: .*: database or disk is full \(SQLITE_FULL\)\n$/)]);
  expect(codes).toEqual([4]);
});
