import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { OPERATIONS } from "../operations/index.ts";
import { toStoreError } from "../store/sql/to-store-error.ts";
import { attempt } from "./attempt.ts";

/** What a command says that fails so, and its exit code. */
async function fail(error: unknown): Promise<readonly [string, number | undefined]> {
  let [printed, code]: [string, number | undefined] = ["", undefined];
  const print = (text: string): void => void (printed += text);
  const terminal = { env: {}, print, printError: print, confirm: () => Promise.resolve(false) };
  const setExitCode = (given: number): void => void (code = given);
  await attempt({ operations: OPERATIONS, process: terminal, setExitCode }, () => Promise.reject(error));
  return [printed, code];
}

test("says why the database cannot serve, because the command has no log that does", async () => {
  const full = Object.assign(new Error("database or disk is full (SQLITE_FULL)\n    at native"), {
    code: "SQLITE_FULL",
  });
  const [printed, code] = await fail(toStoreError(full));
  expect([printed, code]).toEqual([
    expect.stringMatching(/^runlayer: .*: database or disk is full \(SQLITE_FULL\)\n$/),
    4,
  ]);
});

test("names commands, not operations", async () => {
  const [printed] = await fail(
    new AppError("not_found", "agent `list_agents` does not exist; list_agents shows what does"),
  );
  expect(printed).toBe("runlayer: agent `list_agents` does not exist; `runlayer agents list` shows what does\n");
});

test("says of an address only that it does not answer", async () => {
  const cause = new TypeError("fetch failed");
  expect(await fail(new AppError("unavailable", "`http://x` does not answer", { cause }))).toEqual([
    "runlayer: `http://x` does not answer\n",
    4,
  ]);
});
