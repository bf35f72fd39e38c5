import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { readKeyFile } from "./master-key.ts";

test("a folder in the place of the key file is called that, and nobody is told to change its rights", () => {
  const folder = mkdtempSync(join(tmpdir(), "runlayer-master-key-"));
  const message = `RUNLAYER_MASTER_KEY_FILE: \`${folder}\` is a folder; \`openssl rand -base64 32\` makes one`;
  expect(() => readKeyFile(folder, "RUNLAYER_MASTER_KEY_FILE")).toThrow(new AppError("invalid_input", message));
  rmSync(folder, { recursive: true });
});
