import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { readKeyFile, writeKeyFile } from "./master-key.ts";

test("a folder in the place of the key file is called that, and nobody is told to change its rights", () => {
  const folder = mkdtempSync(join(tmpdir(), "runlayer-master-key-"));
  const message = `RUNLAYER_MASTER_KEY_FILE: \`${folder}\` is a folder; \`openssl rand -base64 32\` makes one`;
  expect(() => readKeyFile(folder, "RUNLAYER_MASTER_KEY_FILE")).toThrow(new AppError("invalid_input", message));
  rmSync(folder, { recursive: true });
});

test("makes the folder of a key file, for its owner only", () => {
  const folder = mkdtempSync(join(tmpdir(), "runlayer-master-key-"));
  const path = join(folder, "data/master.key");
  writeKeyFile(path, Buffer.alloc(32, 7));
  expect(readFileSync(path, "utf8")).toBe(`${Buffer.alloc(32, 7).toString("base64")}\n`);
  expect([statSync(path), statSync(join(folder, "data"))].map(({ mode }) => mode & 0o777)).toEqual([0o600, 0o700]);
  rmSync(folder, { recursive: true });
});
