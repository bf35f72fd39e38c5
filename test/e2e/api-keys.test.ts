import { afterAll, beforeAll, expect, test } from "vitest";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
});

afterAll(() => app.close());

test("makes a key that works, shows it once, and lists it without it", async () => {
  const { body } = await app.rest("POST /api-keys", { name: "reader", role: "auditor", description: "weekly report" });
  const secret = textAt(body, "secret");
  expect(secret).toMatch(/^rl_org_[a-z2-7]{39}$/);
  expect((await app.rest("GET /organization", undefined, secret)).status).toBe(200);
  const listed = await app.rest("GET /api-keys", { role: "auditor" });
  expect(at(listed.body, "items", 0)).toMatchObject({
    name: "reader",
    kind: "organization",
    useCount: 1,
    status: "active",
  });
  expect(JSON.stringify(listed.body)).not.toContain(secret);
  expect(at(listed.body, "items", 0, "lastUsedIp")).toBe("127.0.0.1");
  await expectEvent(app, { action: "key.create", resourceId: textAt(body, "apiKey", "id") });
});

test.each([
  ["a taken name", { name: "twice", role: "auditor" }, "conflict"],
  ["an unknown role", { name: "k-1", role: "god" }, "invalid_input"],
  ["an expiry in the past", { name: "k-2", role: "auditor", expiresAt: "2020-01-01T00:00:00Z" }, "invalid_input"],
  [
    "two expiries",
    { name: "k-3", role: "auditor", expiresAt: "2040-01-01T00:00:00Z", expiresInDays: 3 },
    "invalid_input",
  ],
  ["an address that is none", { name: "k-4", role: "auditor", allowedIps: ["example.com"] }, "invalid_input"],
  ["an unknown member", { name: "k-5", role: "auditor", member: "nobody@example.com" }, "not_found"],
])("refuses %s and makes no key", async (_what, input, code) => {
  if (code === "conflict") await app.rest("POST /api-keys", input);
  const before = await app.rest("GET /api-keys");
  expect((await app.rest("POST /api-keys", input)).body["code"]).toBe(code);
  expect((await app.rest("GET /api-keys")).body["total"]).toBe(before.body["total"]);
});

test("a key for other addresses does not open from here", async () => {
  const elsewhere = await app.rest("POST /api-keys", {
    name: "elsewhere",
    role: "auditor",
    allowedIps: ["192.0.2.0/24"],
  });
  expect((await app.rest("GET /organization", undefined, textAt(elsewhere.body, "secret"))).status).toBe(401);
  const here = await app.rest("POST /api-keys", { name: "here", role: "auditor", allowedIps: ["127.0.0.0/8", "::1"] });
  expect((await app.rest("GET /organization", undefined, textAt(here.body, "secret"))).status).toBe(200);
});

async function makeKey(name: string, more: Record<string, unknown> = {}): Promise<string> {
  return textAt((await app.rest("POST /api-keys", { name, role: "admin", ...more })).body, "secret");
}

test.each([
  ["any address", {}, 403],
  ["a wider range", { allowedIps: ["127.0.0.0/8"] }, 403],
  ["one address inside, one outside", { allowedIps: ["127.0.0.1", "192.0.2.1"] }, 403],
  ["the other family", { allowedIps: ["::/0"] }, 403],
  ["the same range", { allowedIps: ["127.0.0.0/16"] }, 200],
  ["an address of it", { allowedIps: ["127.0.0.1"] }, 200],
])("a key that is kept to addresses makes none for %s, or says why", async (what, more, status) => {
  const suffix = what.replaceAll(/[^a-z]/g, "");
  for (const role of ["admin", "owner"]) {
    const maker = await makeKey(`kept-${role}-${suffix}`, { role, allowedIps: ["127.0.0.0/16"] });
    const reply = await app.rest("POST /api-keys", { name: `of-${role}-${suffix}`, role: "auditor", ...more }, maker);
    expect(reply.status).toBe(status);
    if (status === 403) expect(reply.body).toMatchObject({ code: "forbidden", details: { field: "allowedIps" } });
  }
});

test("a key that expires makes none that outlives it, but owners renew", async () => {
  const maker = await makeKey("brief", { expiresInDays: 10 });
  const make = (name: string, more: object, key = maker) =>
    app.rest("POST /api-keys", { name, role: "auditor", ...more }, key);
  const refusal = { status: 403, body: { code: "forbidden", details: { field: "expiresAt" } } };
  expect(await make("for-good", {})).toMatchObject(refusal);
  expect(await make("longer", { expiresInDays: 11 })).toMatchObject(refusal);
  expect(await make("shorter", { expiresInDays: 9 })).toMatchObject({ status: 200 });
  const owner = await makeKey("brief-owner", { role: "owner", expiresInDays: 1 });
  expect(await make("renewed", { role: "owner", expiresInDays: 90 }, owner)).toMatchObject({ status: 200 });
});

test("only owners and admins make a key that another member answers for", async () => {
  for (const [email, role] of [
    ["ida@example.org", "security"],
    ["max@example.org", "owner"],
  ]) {
    await app.rest("POST /members", { email, name: "Someone", role });
  }
  const security = await makeKey("sec", { role: "security", member: "ida@example.org" });
  const make = (name: string, member: string, key: string) =>
    app.rest("POST /api-keys", { name, role: "auditor", member }, key);
  const refusal = { status: 403, body: { code: "forbidden", details: { field: "member" } } };
  expect(await make("anothers", "owner@localhost", security)).toMatchObject(refusal);
  expect(await make("own", "ida@example.org", security)).toMatchObject({ status: 200 });
  const admin = await makeKey("adm", { member: "max@example.org" });
  expect(await make("an-owners", "owner@localhost", admin)).toMatchObject(refusal);
  expect(await make("a-lower-ones", "ida@example.org", admin)).toMatchObject({ status: 200 });
});

test("a dry run makes no key and shows none", async () => {
  const { body } = await app.rest("POST /api-keys", { name: "rehearsed", role: "auditor", dryRun: true });
  expect(body).not.toHaveProperty("secret");
  expect((await app.rest("GET /api-keys", { query: "rehearsed" })).body["total"]).toBe(0);
});

test("revokes after confirmation, at once and for good", async () => {
  const made = await app.rest("POST /api-keys", { name: "revoked", role: "auditor" });
  const secret = textAt(made.body, "secret");
  expect((await app.rest("POST /api-keys/revoked/revoke", {})).body["code"]).toBe("confirmation_required");
  expect((await app.rest("GET /organization", undefined, secret)).status).toBe(200);
  const done = await app.rest("POST /api-keys/revoked/revoke", { confirm: true, reason: "left the team" });
  expect(at(done.body, "apiKey")).toMatchObject({ status: "revoked", revokedReason: "left the team" });
  expect((await app.rest("GET /organization", undefined, secret)).status).toBe(401);
  const again = await app.rest("POST /api-keys/revoked/revoke", { confirm: true });
  expect([again.status, at(again.body, "impact", "wasActive")]).toEqual([200, false]);
});

test("shows a key's version, and revokes only the version that the caller saw", async () => {
  const made = await app.rest("POST /api-keys", { name: "versioned", role: "auditor" });
  expect(at(made.body, "apiKey", "version")).toBe(1);
  const revoke = (expectedVersion: number) =>
    app.rest("POST /api-keys/versioned/revoke", { confirm: true, expectedVersion });
  expect((await revoke(2)).body).toMatchObject({ code: "conflict", details: { version: 1 } });
  expect(at((await revoke(1)).body, "apiKey")).toMatchObject({ status: "revoked", version: 2 });
  // The same call again, as a client repeats it that heard no answer.
  expect((await revoke(1)).status).toBe(200);
  const listed = await app.rest("GET /api-keys", { query: "versioned" });
  expect(at(listed.body, "items", 0, "version")).toBe(2);
});

test("revoking ends an open MCP session", async () => {
  const made = await app.rest("POST /api-keys", { name: "in-session", role: "auditor" });
  const client = await app.mcp(textAt(made.body, "secret"));
  await client.listTools();
  await app.rest("POST /api-keys/in-session/revoke", { confirm: true });
  await expect(client.listTools()).rejects.toThrow();
});

test("the last owner key stays", async () => {
  const fresh = await startTestApp();
  const reply = await fresh.rest("POST /api-keys/first-owner/revoke", { confirm: true });
  expect(reply.body["code"]).toBe("conflict");
  await fresh.close();
});

test("a bootstrap key works, stays the same, and never revives", async () => {
  const bootstrap = `rl_org_${"k".repeat(40)}`;
  const booted = await startTestApp({ RUNLAYER_BOOTSTRAP_KEY: bootstrap });
  expect((await booted.rest("GET /organization", undefined, bootstrap)).status).toBe(200);
  const other = await booted.rest("POST /api-keys", { name: "second", role: "owner" });
  await booted.restart();
  await booted.rest("POST /api-keys/bootstrap/revoke", { confirm: true }, textAt(other.body, "secret"));
  await booted.restart();
  expect((await booted.rest("GET /organization", undefined, bootstrap)).status).toBe(401);
  await booted.close();
});

test("flags a key that is used from a new place, also after a restart", async () => {
  const proxied = await startTestApp({ RUNLAYER_TRUSTED_PROXIES: "127.0.0.1" });
  const key = textAt((await proxied.rest("POST /api-keys", { name: "moving", role: "auditor" })).body, "secret");
  const useFrom = async (ip: string) => {
    const headers = { authorization: `Bearer ${key}`, "x-forwarded-for": ip };
    expect((await fetch(`${proxied.url}/api/v1/organization`, { headers })).status).toBe(200);
  };
  const flags = async () => at((await proxied.rest("GET /api-keys", { query: "moving" })).body, "items", 0, "flags");
  await useFrom("2001:db8:1:2::3");
  await useFrom("2001:db8:1:2::4");
  expect(await flags()).toEqual([]);
  await proxied.restart();
  await useFrom("2001:db8:1:2::5");
  expect(await flags()).toEqual([]);
  await useFrom("198.51.100.7");
  expect(await flags()).toEqual(["new_ip"]);
  await proxied.restart();
  expect(await flags()).toEqual(["new_ip"]);
  await proxied.close();
});

test("flags keys that are denied again and again, organization keys and agents'", async () => {
  const auditor = await makeKey("trying", { role: "auditor" });
  await app.rest("POST /agents", { name: "patient", type: "codex" });
  const agent = textAt((await app.rest("POST /agents", { name: "pushing", type: "codex" })).body, "key");
  const guesser = textAt((await app.rest("POST /agents", { name: "guessing", type: "codex" })).body, "key");
  const guessing = await app.aggregateClient(guesser);
  const elsewhere = await makeKey("stolen", { allowedIps: ["192.0.2.1"] });
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await app.rest("POST /agents", { name: "no", type: "codex" }, auditor);
    await app.rest("GET /organization", undefined, elsewhere);
    await expect(guessing.callTool({ name: `mail__guess_${attempt}` })).rejects.toThrow();
    const url = `${app.url}/gateway/not-assigned/mcp`;
    const headers = { authorization: `Bearer ${agent}`, "content-type": "application/json" };
    expect((await fetch(url, { method: "POST", headers, body: "{}" })).status).toBe(404);
  }
  const { body } = await app.rest("GET /api-keys", { limit: 200 });
  const items: { name: string; flags: string[]; agent?: { name: string } }[] = Object(body["items"]);
  const flagged = items.filter(({ flags }) => flags.includes("denied_burst"));
  const names = flagged.map(({ name, agent: owner }) => owner?.name ?? name);
  expect(names.toSorted()).toEqual(["guessing", "pushing", "stolen", "trying"]);
});

test("a flood of denied calls is one event and a count, and every kind has its first", async () => {
  const auditor = await makeKey("flooding", { role: "auditor" });
  const admin = await makeKey("climbing", { role: "admin" });
  const deny = async (route: string, input: object, key: string) =>
    expect((await app.rest(route, input, key)).status).toBe(403);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await deny("POST /agents", { name: "no", type: "codex" }, auditor);
    await deny("POST /api-keys", { name: "higher", role: "owner" }, admin);
  }
  await deny("POST /members", {}, auditor);
  const denied = async () => {
    const { body } = await app.rest("GET /audit-events", { outcome: "denied", actorType: "key", limit: 200 });
    const items: { actor: { name: string }; action: string; details: { count?: number; field?: string } }[] = Object(
      body["items"],
    );
    return items.filter(({ actor }) => ["flooding", "climbing"].includes(actor.name));
  };
  expect((await denied()).map(({ action }) => action)).toEqual(["agent.create", "key.create", "member.invite"]);
  // What was counted is told at the end, at the latest.
  await app.restart();
  const told = (await denied()).filter(({ details }) => details.count !== undefined);
  expect(told).toMatchObject([
    { action: "agent.create", details: { count: 4 } },
    { action: "key.create", details: { count: 4, field: "role" } },
  ]);
});
