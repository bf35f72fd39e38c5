import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseConfig } from "../../src/app/config.ts";
import { createKeyOnHost } from "../../src/app/host-keys.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;

beforeEach(async () => {
  app = await startTestApp();
  await app.rest("POST /members", { email: "bob@example.org", name: "Bob", role: "owner" });
});

afterEach(() => app.close());

const change = (member: string, input: object, key?: string) => app.rest(`PATCH /members/${member}`, input, key);
const revoke = (name: string, key?: string) => app.rest(`POST /api-keys/${name}/revoke`, { confirm: true }, key);

async function makeOwnerKey(name: string, more: object = {}): Promise<string> {
  return textAt((await app.rest("POST /api-keys", { name, role: "owner", ...more })).body, "secret");
}

test.each([
  ["suspended", { status: "suspended" }],
  ["demoted", { role: "admin" }],
])("the member behind every owner key is not %s, whatever owners there are without a key", async (_what, input) => {
  await makeOwnerKey("of-the-same");
  expect((await change("owner@localhost", { ...input, dryRun: true })).body["code"]).toBe("conflict");
  expect((await change("owner@localhost", input)).body["code"]).toBe("conflict");
  expect((await app.rest("GET /organization")).status).toBe(200);
  await app.rest("POST /api-keys", { name: "a-lesser-one", role: "admin", member: "bob@example.org" });
  expect((await change("owner@localhost", input)).body["code"]).toBe("conflict");
  const bobs = await makeOwnerKey("bobs", { member: "bob@example.org" });
  expect((await change("owner@localhost", input)).status).toBe(200);
  expect((await app.rest("GET /organization")).status).toBe(401);
  expect((await app.rest("GET /organization", undefined, bobs)).status).toBe(200);
});

test("a key does not count once its member is suspended", async () => {
  await makeOwnerKey("bobs", { member: "bob@example.org" });
  expect((await change("bob@example.org", { status: "suspended" })).status).toBe(200);
  expect((await revoke("first-owner")).body["code"]).toBe("conflict");
  expect((await change("bob@example.org", { status: "active" })).status).toBe(200);
  expect((await revoke("first-owner")).status).toBe(200);
});

test("two owners do not cut off each other at the same time", async () => {
  const bobs = await makeOwnerKey("bobs", { member: "bob@example.org" });
  const replies = await Promise.all([revoke("bobs"), change("owner@localhost", { status: "suspended" }, bobs)]);
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
});

test("a key made on the host of a new installation is its only one", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-host-key-"));
  const config = parseConfig({}, dataDir);
  await createKeyOnHost(config, "host");
  const store = await openStore({ ...config, clock: systemClock });
  const keys = await store.read(({ apiKeys }) => apiKeys.list({ now: 0 }, { limit: 10 }));
  expect(keys.items).toMatchObject([{ name: "host", role: "owner", memberId: expect.any(String) }]);
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});
