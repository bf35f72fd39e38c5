import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { MasterKey } from "./envelope.ts";
import { beginRotation, finishRotation, settleRotation } from "./master-key-rotation.ts";
import { loadMasterKey, readKeyFile } from "./master-key.ts";

let dataDir: string;
let before: MasterKey;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-rotation-"));
  before = loadMasterKey({ dataDir });
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const files = (): string[] => readdirSync(dataDir).toSorted();

test("puts the new key in the place of the old one", () => {
  const next = beginRotation(dataDir);
  finishRotation(dataDir);
  expect([loadMasterKey({ dataDir }).id, files()]).toEqual([next.id, ["master.key"]]);
});

test("finishes a rotation that was interrupted after the database was rewrapped", () => {
  const next = beginRotation(dataDir);
  settleRotation(dataDir, next.id);
  expect([loadMasterKey({ dataDir }).id, files()]).toEqual([next.id, ["master.key"]]);
});

test("keeps the old key, and the new one aside, where the database was not rewrapped", () => {
  const next = beginRotation(dataDir);
  settleRotation(dataDir, before.id);
  const kept = `master.key.${next.id}.unused`;
  expect([loadMasterKey({ dataDir }).id, files()]).toEqual([before.id, ["master.key", kept]]);
  expect(readKeyFile(join(dataDir, kept), "kept").id).toBe(next.id);
  beginRotation(dataDir);
});

test.each([undefined, "0123456789abcdef"])(
  "touches no key when the database is another one, under the key %s",
  (id) => {
    const next = beginRotation(dataDir);
    settleRotation(dataDir, id);
    expect(loadMasterKey({ dataDir }).id).toBe(before.id);
    // Nor does another rotation write over it.
    expect(() => beginRotation(dataDir)).toThrow(expect.objectContaining({ code: "conflict" }));
    settleRotation(dataDir, next.id);
    expect(loadMasterKey({ dataDir }).id).toBe(next.id);
  },
);
