import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeFolder } from "./make-folder.ts";

const root = mkdtempSync(join(tmpdir(), "runlayer-make-folder-"));
afterAll(() => rmSync(root, { recursive: true }));

test("makes a folder and those above it, with the mode, and leaves what is there", () => {
  const path = join(root, "a/b");
  makeFolder(path, 0o700);
  makeFolder(path, 0o755);
  expect([path, join(root, "a")].map((folder) => statSync(folder).mode & 0o777)).toEqual([0o700, 0o700]);
});

test("refuses a name that a file has", () => {
  writeFileSync(join(root, "file"), "");
  expect(() => makeFolder(join(root, "file"))).toThrow("is not a folder");
  expect(() => makeFolder(join(root, "file/below"))).toThrow(/not a folder|ENOTDIR/);
});

test.runIf(process.platform === "linux")("ends where a file system takes no folders", () => {
  expect(() => makeFolder("/proc/none/below")).toThrow(/ENOENT|EACCES/);
});
