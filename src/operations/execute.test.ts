import { afterAll, beforeAll, expect, test } from "vitest";
import type { ApiKey } from "../domain/api-key.ts";
import { startSurface, TEST_OPERATIONS, things, type SurfaceHarness } from "../../test/harness/surface.ts";
import type { Answer } from "./define-operation.ts";
import { execute } from "./execute.ts";

let surface: SurfaceHarness;
beforeAll(async () => {
  surface = await startSurface();
});
afterAll(() => surface.close());

/** Has asked who calls when it returns; whatever comes next waits for its turn. */
async function call(name: string, input: object, { id, name: keyName }: ApiKey): Promise<Answer> {
  const operation = TEST_OPERATIONS.find((one) => one.name === name);
  if (operation === undefined) throw new Error(`no operation ${name}`);
  const caller = { actor: { type: "key", id, name: keyName }, role: "owner", memberId: null } as const;
  const { signal } = new AbortController();
  return execute(operation, { caller, input, signal, correlationId: "c" }, surface.runtime);
}

const KNOWN = { name: "known", idempotencyKey: "makes-known" };

test.each([
  ["a read", "list_things", {}],
  ["a rehearsal", "create_thing", { name: "rehearsed", dryRun: true }],
  ["the impact of what needs a confirmation", "delete_thing", { id: "known" }],
  ["the first answer to a repeated call", "create_thing", KNOWN],
  ["a change", "create_thing", { name: "changed" }],
])("a key that is revoked while its call waits for its turn is not given %s", async (_what, name, input) => {
  things.clear();
  const { key } = surface.keys.add();
  await call("create_thing", KNOWN, key);
  const answered = call(name, input, key);
  surface.keys.revoke(key);
  await expect(answered).rejects.toMatchObject({ code: "unauthenticated" });
  expect([...things.keys()]).toEqual(["known"]);
});

test("a key that the writer before has revoked changes nothing, although the view does not show it yet", async () => {
  things.clear();
  const { key } = surface.keys.add();
  const revoked = { ...key, revoked: { at: key.createdAt, reason: null }, version: key.version + 1 };
  await surface.store.transaction(({ apiKeys }) => apiKeys.save(revoked));
  await expect(call("create_thing", { name: "late" }, key)).rejects.toMatchObject({ code: "unauthenticated" });
  expect(things.size).toBe(0);
});
