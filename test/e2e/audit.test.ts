import { afterAll, beforeAll, expect, test } from "vitest";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
  await app.rest("POST /servers", { name: "one", transport: "sse", url: "https://one.example.com/sse" });
  await app.rest("POST /servers", { name: "two", transport: "sse", url: "https://two.example.com/sse" });
  await app.rest("POST /agents", { name: "reader", type: "codex", servers: ["one"] });
});

afterAll(() => app.close());

const list = async (filter: Record<string, unknown>) => (await app.rest("GET /audit-events", filter)).body;

test("lists events in order, gapless from 1", async () => {
  const { items } = await list({ limit: 200 });
  const seqs = Array.isArray(items) ? items.map((item) => at(item, "seq")) : [];
  expect(seqs).toEqual(seqs.map((_seq, index) => index + 1));
  expect(at(items, 0, "leafHash")).toMatch(/^[0-9a-f]{64}$/);
});

test("pages forward and backward, stable while events are added", async () => {
  const first = await list({ limit: 2, order: "desc" });
  await app.rest("POST /servers", { name: "three", transport: "sse", url: "https://three.example.com/sse" });
  const second = await list({ limit: 2, order: "desc", cursor: textAt(first, "nextCursor") });
  const last = Number(at(first, "items", 1, "seq"));
  expect(at(second, "items", 0, "seq")).toBe(last - 1);
});

test.each([
  [{ action: "server." }, ["server.create"]],
  [{ action: ["agent.create", "key.create"] }, ["key.create", "agent.create"]],
  [{ resourceType: "agent" }, ["agent.create"]],
  [{ resource: "one" }, ["server.create"]],
  [{ server: "two" }, ["server.create"]],
  [{ agent: "reader" }, ["key.create", "agent.create"]],
  [{ actor: "first-owner", action: "agent." }, ["agent.create"]],
  [{ actorType: "system" }, ["organization.create", "key.create"]],
  [{ outcome: "error" }, []],
  [{ query: "READER" }, ["agent.create"]],
  [{ to: "2020-01-01T00:00:00Z" }, []],
])("filters by %o", async (filter, actions) => {
  const { items } = await list(filter);
  const found = Array.isArray(items) ? items.map((item) => at(item, "action")) : [];
  expect([...new Set(found)]).toEqual(actions);
});

test.each(["server", "agent", "policy"])(
  "says that no %s has the name, and asks of a deleted one by its id",
  async (kind) => {
    expect(await list({ [kind]: "mistyped" })).toMatchObject({ code: "not_found", details: { kind, ref: "mistyped" } });
    expect(await list({ [kind]: "019a0000-0000-7000-8000-000000000000" })).toMatchObject({ items: [], total: 0 });
  },
);

test("to a member, what its agents have nothing to do with does not exist by name", async () => {
  await app.rest("POST /members", { email: "mo@example.com", name: "Mo", role: "member" });
  const made = await app.rest("POST /api-keys", { name: "mo-key", role: "member", member: "mo@example.com" });
  const ask = async (filter: object) => (await app.rest("GET /audit-events", filter, textAt(made.body, "secret"))).body;
  expect(await ask({})).toMatchObject({ items: [], total: 0 });
  await app.rest("POST /policies", {
    name: "hidden",
    effect: "deny",
    principals: { agents: ["reader"] },
    resources: { tools: ["x"] },
  });
  for (const filter of [{ server: "two" }, { agent: "reader" }, { policy: "hidden" }])
    expect(await ask(filter)).toMatchObject({ code: "not_found" });
  await app.rest("POST /agents", { name: "mos", type: "codex", servers: ["two"], owner: "mo@example.com" });
  expect(at(await ask({ agent: "mos" }), "items")).toMatchObject([
    { action: "key.create" },
    { action: "agent.create" },
  ]);
  expect(await ask({ server: "two" })).toMatchObject({ total: 0 });
  // The owner's key did it: of keys above their own, members see no part.
  expect(at(await ask({ agent: "mos", groupBy: "actor" }), "groups")).toMatchObject([
    { name: "first-owner", activeKeys: [] },
  ]);
});

test("groups by actor for an access review, with the keys that still open the door", async () => {
  const body = await list({ groupBy: "actor" });
  const { groups } = body;
  const owner = Array.isArray(groups) ? groups.find((group) => at(group, "name") === "first-owner") : undefined;
  expect(owner).toMatchObject({ denied: 0, errors: 0 });
  expect(at(owner, "activeKeys", 0, "hint")).toBe(`rl_org_…${app.ownerKey.slice(-4)}`);
});

test.each([{ from: "yesterday" }, { action: "no spaces here" }, { limit: 201 }, { order: "up" }, { colour: "red" }])(
  "refuses %o",
  async (filter) => {
    expect((await list(filter))["code"]).toBe("invalid_input");
  },
);

test("events survive a restart", async () => {
  const before = await list({ limit: 200 });
  await app.restart();
  const after = await list({ limit: 200 });
  expect(at(after, "items", 0, "leafHash")).toBe(at(before, "items", 0, "leafHash"));
  expect(Number(after["total"])).toBeGreaterThanOrEqual(Number(before["total"]));
});
