import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { decideApproval } from "../../src/domain/approval.ts";
import type { Policy } from "../../src/domain/policy.ts";
import { maskSecrets } from "../../src/guard/mask-secrets.ts";
import { parsePolicy } from "../../src/policy/parse-policy.ts";
import { aPolicy } from "../harness/entities.ts";
import { post, request, type Message } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendJson, startUpstream, type TestUpstream } from "./upstream.ts";

// `subscriptions/listen` names several things at once: its server, and each resource that it wants to be told of.
const VERSION = "2026-07-28";
const NOT_ASSIGNED = { code: -32011, data: { reason: "not_assigned" } };

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;

beforeAll(async () => {
  harness = await startHarness({ hasApprovals: true, maskSecrets });
  upstream = await startUpstream((received) => sendJson(received, result(received, { resultType: "complete" })));
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id, resources: ["file:///a*"] }]);
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

afterEach(async () => {
  upstream.received.length = 0;
  await approveAll();
  const { items } = await harness.store.read((tx) => tx.policies.list({}, { limit: 200 }));
  await harness.store.transaction(async (tx) => {
    for (const { id } of items) await tx.policies.delete(id);
  });
});

test("denies what is not assigned behind a hold, and asks nobody", async () => {
  await addPolicy(held("resource"));
  expect((await subscribe("file:///a1", "file:///b")).error).toMatchObject(NOT_ASSIGNED);
  expect(await pending()).toEqual([]);
  await addPolicy(denied("file:///a2"));
  expect((await subscribe("file:///a1", "file:///a2")).error).toMatchObject({
    code: -32011,
    data: { reason: "policy" },
  });
  expect(await pending()).toEqual([]);
  expect(upstream.received).toEqual([]);
});

test("denies after an approval what was forbidden meanwhile", async () => {
  await addPolicy(held("resource"));
  expect((await subscribe("file:///a1", "file:///a2")).error).toMatchObject({ code: -32012 });
  await approveAll();
  const deny = await addPolicy(denied("file:///a2"));
  const { error } = await subscribe("file:///a1", "file:///a2");
  expect(error).toMatchObject({ code: -32011, data: { policies: [{ id: deny.id }] } });
  expect(upstream.received).toEqual([]);
});

test("shows who decides every policy that holds a part of it, and sends it once it is approved", async () => {
  const onServer = await addPolicy(held("resource is Runlayer::Server"));
  const watched = await addPolicy(denied("file:///a3"), { mode: "monitor" });
  const onLast = await addPolicy(held("resource is Runlayer::Resource"));
  const uris = ["file:///a3", "file:///a4"];
  const policies = [onServer, onLast].map(({ id, name }) => ({ id, name }));
  expect((await subscribe(...uris)).error).toMatchObject({ code: -32012, data: { policies } });
  const payload = { arguments: { resourceSubscriptions: uris } };
  expect(await pending()).toMatchObject([{ target: { type: "server", name: "s" }, policies, payload }]);
  const event = (await harness.events("subscription.listen")).at(-1);
  expect(event).toMatchObject({
    outcome: "held",
    policies,
    details: { alsoMatched: [{ id: watched.id }], ...payload },
  });
  await approveAll();
  expect(await subscribe(...uris)).toMatchObject({ result: {} });
  expect(upstream.received).toHaveLength(1);
});

test("decides by the filter that it records, not by a member that means nothing here", async () => {
  const text = held("resource is Runlayer::Server").replace(";", " unless { context.args has toolsListChanged };");
  await addPolicy(text);
  expect((await subscribe("file:///a5")).error).toMatchObject({ code: -32012 });
  const stray = { arguments: { toolsListChanged: true } };
  expect((await listen({ resourceSubscriptions: ["file:///a6"] }, stray)).error).toMatchObject({ code: -32012 });
  const filter = { resourceSubscriptions: ["file:///a7"], toolsListChanged: true };
  expect(await listen(filter)).toMatchObject({ result: {} });
  const event = (await harness.events("subscription.listen")).at(-1);
  expect(event).toMatchObject({ outcome: "success", details: { arguments: filter } });
});

test("sends a subscription of 256 resources, and refuses one more before it is decided", async () => {
  const uris = Array.from({ length: 257 }, (_, index) => `file:///a${index}`);
  const refused = (await subscribe(...uris)).error;
  expect(refused?.code).toBe(-32602);
  expect(refused?.message).toContain("256 resources");
  expect(upstream.received).toEqual([]);
  expect(await subscribe(...uris.slice(1))).toMatchObject({ result: {} });
});

test("refuses a resource with a name that nobody would give", async () => {
  const longest = `file:///a${"b".repeat(8_192 - "file:///a".length)}`;
  expect(await subscribe(longest)).toMatchObject({ result: {} });
  expect((await subscribe(`${longest}b`)).error?.message).toContain("over 8192 characters");
  expect(upstream.received).toHaveLength(1);
});

test("records every resource of a subscription that is sent", async () => {
  const secret = `ghp_${"a1B2c3D4e5".repeat(4)}`;
  const uris = ["file:///a3", `file:///a4?${secret}`, "file:///a5"];
  expect(await subscribe(...uris)).toMatchObject({ result: {} });
  const event = (await harness.events("subscription.listen")).at(-1);
  const masked = ["file:///a3", "file:///a4?[masked:github-token]", "file:///a5"];
  const details = { arguments: { resourceSubscriptions: masked }, argumentsAltered: true };
  expect(event).toMatchObject({ outcome: "success", details });
  expect(JSON.stringify(event)).not.toContain(secret);
});

const held = (resource: string): string =>
  `@effect("require_approval") forbid (principal, action == Runlayer::Action::"subscribe", ${resource});`;

const denied = (uri: string): string =>
  `forbid (principal, action, resource is Runlayer::Resource) when { resource.uri == "${uri}" };`;

async function addPolicy(text: string, given: Partial<Policy> = {}): Promise<Policy> {
  const { effect, ast, cedar } = parsePolicy(text);
  const policy = aPolicy({ effect, rule: null, ast, cedar, ...given });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
  return policy;
}

const subscribe = (...uris: readonly string[]): Promise<Message> => listen({ resourceSubscriptions: uris });

async function listen(notifications: object, others: object = {}): Promise<Message> {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  };
  const message = request(1, "subscriptions/listen", { notifications, ...others, _meta: meta });
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": "subscriptions/listen" };
  const [answer] = (await post(`${harness.url}/gateway/s/mcp`, agent.key, message, { headers })).messages;
  if (answer === undefined) throw new Error("no answer");
  return answer;
}

const pending = async () =>
  (await harness.store.read((tx) => tx.approvals.list({ status: "pending", now: Date.now() }, { limit: 200 }))).items;

async function approveAll(): Promise<void> {
  const decision = { at: Date.now(), by: { type: "key", id: "k", name: "k" }, note: null } as const;
  for (const approval of await pending()) {
    const approved = decideApproval(approval, { status: "approved", decision, ttlMs: 60_000 });
    await harness.store.transaction((tx) => tx.approvals.save(approved));
  }
}
