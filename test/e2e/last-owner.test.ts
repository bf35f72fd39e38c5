import { afterEach, beforeEach, expect, test } from "vitest";
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
