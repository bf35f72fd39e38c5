import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Policy, StructuredRule } from "../../src/domain/policy.ts";
import { accessAs } from "../../src/gateway/access.ts";
import { decide } from "../../src/gateway/decide.ts";
import { newId } from "../../src/lib/ids.ts";
import { localTimeIn } from "../../src/policy/local-time-in.ts";
import { parsePolicy, parseRule } from "../../src/policy/parse-policy.ts";
import type { ServerTool, Server } from "../../src/domain/server.ts";
import { aGroup, aMember, aPolicy, aTool } from "../harness/entities.ts";
import { call, openStream, post, request, streamInit, type Message } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, sendEvent, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let server: Server;
let agent: AgentKey;
let url: string;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream(plainServer);
  server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [
    { serverId: server.id, tools: ["*_file"], resources: ["file:*"], prompts: ["*"] },
  ]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

beforeEach(async () => {
  await harness.setSettings({ assignmentGrantsAccess: true, timeZone: "UTC", auditPayloads: "redacted" });
  const { items } = await harness.store.read((tx) => tx.policies.list({}, { limit: 200 }));
  await harness.store.transaction(async (tx) => {
    for (const { id } of items) await tx.policies.delete(id);
  });
  upstream.received.length = 0;
});

type Rule = Partial<StructuredRule> & Partial<Pick<Policy, "effect" | "mode" | "audit" | "expiresAt">>;

async function addPolicy(given: Rule): Promise<Policy> {
  const { effect = "deny", mode = "enforce", audit = null, expiresAt = null, ...parts } = given;
  const rule = { principals: { everyone: true }, resources: { everything: true }, ...parts };
  const { ast, cedar } = parseRule({ effect, ...rule });
  const policy = aPolicy({ effect, mode, audit, expiresAt, rule, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
  return policy;
}

async function send(message: object, headers: Record<string, string> = {}): Promise<Message> {
  const posted = await post(url, agent.key, message, { headers });
  expect(posted.status).toBe(200);
  const [answer] = posted.messages;
  if (answer === undefined) throw new Error("no answer");
  return answer;
}

/** What a call comes to: `passed`, or the reason of its refusal. */
async function outcome(tool = "write_file", args: unknown = {}): Promise<string> {
  const { error, result } = await send(call(1, tool, args));
  if (result !== undefined) return "passed";
  const reason = error?.data?.["reason"];
  return `${error?.code} ${typeof reason === "string" ? reason : ""}`;
}

async function lastEvent(action = "tool.call") {
  const events = await harness.events(action);
  const event = events.at(-1);
  if (event === undefined) throw new Error("no event");
  return event;
}

function named({ id, name }: Policy) {
  return { id, name };
}

const onCall = { actions: ["call_tool"] } as const;
const amount = (value: number) => [{ field: "args.amount", operator: "gt", value }] as const;

test("row 2: what is not assigned is denied, and no policy can widen it", async () => {
  await addPolicy({ effect: "allow", ...onCall });
  expect(await outcome("drop_table")).toBe("-32011 not_assigned");
  expect(await lastEvent()).toMatchObject({ outcome: "denied", reason: "not_assigned" });
  expect((await lastEvent()).policies).toBeUndefined();
});

test("row 3: an enforced deny wins over an allow and over a hold", async () => {
  await addPolicy({ effect: "allow", ...onCall });
  await addPolicy({ effect: "require_approval", ...onCall });
  const deny = await addPolicy(onCall);
  const answer = await send(call(7, "write_file", {}));
  expect(answer).toMatchObject({
    id: 7,
    error: { code: -32011, data: { type: "runlayer.denied", reason: "policy", policies: [named(deny)] } },
  });
  expect(answer.error?.message).toContain(deny.name);
  const event = await lastEvent();
  expect(event).toMatchObject({ outcome: "denied", reason: "policy", policies: [named(deny)] });
  expect(event.correlationId).toBe(answer.error?.data?.["correlationId"]);
  expect(event.details["alsoMatched"]).toHaveLength(2);
  expect(upstream.received).toHaveLength(0);
});

test("row 3: a rule that cannot be evaluated is a deny that names it", async () => {
  const rule = await addPolicy({ effect: "allow", conditions: amount(5) });
  expect(await outcome("write_file", { amount: 9 })).toBe("passed");
  expect(await outcome("write_file", { amount: "much" })).toBe("-32011 evaluation_error");
  expect(await lastEvent()).toMatchObject({ outcome: "denied", reason: "evaluation_error", policies: [named(rule)] });
});

test("row 4: without an allow the setting decides", async () => {
  await harness.setSettings({ assignmentGrantsAccess: false });
  expect(await outcome()).toBe("-32011 default");
  expect(await lastEvent()).toMatchObject({ outcome: "denied", reason: "default" });
  expect((await send(request(2, "tools/list"))).error?.data).toMatchObject({ reason: "default" });
  await addPolicy({ effect: "require_approval", resources: { tools: ["write_*"] } });
  expect(await outcome()).toBe("-32011 default");
  await addPolicy({ effect: "allow", resources: { tools: ["read_*"] } });
  expect(await outcome("read_file")).toBe("passed");
  expect(await outcome("delete_file")).toBe("-32011 default");
  // Who may call something may also connect and see what it is.
  expect((await send(request(3, "tools/list"))).result?.["tools"]).toMatchObject([{ name: "read_file" }]);
});

test("row 5: an enforced require_approval holds the call", async () => {
  const hold = await addPolicy({ effect: "require_approval", resources: { tools: ["delete_*"] } });
  const answer = await send(call(3, "delete_file", { path: "x" }));
  expect(answer.error).toMatchObject({
    code: -32012,
    data: { type: "runlayer.approval_pending", reason: "policy", policies: [named(hold)] },
  });
  expect(await lastEvent()).toMatchObject({ outcome: "held", reason: "policy", policies: [named(hold)] });
  expect(upstream.received).toHaveLength(0);
  expect(await outcome("write_file")).toBe("passed");
});

test("row 6: what nothing forbids passes, with the policies that allowed it", async () => {
  const allow = await addPolicy({ effect: "allow", ...onCall });
  expect(await outcome()).toBe("passed");
  expect(await lastEvent()).toMatchObject({ outcome: "success", policies: [named(allow)] });
  await harness.store.transaction((tx) => tx.policies.delete(allow.id));
  expect(await outcome()).toBe("passed");
  expect((await lastEvent()).policies).toBeUndefined();
});

test("a monitored policy is counted and recorded, not applied; a disabled or expired one is neither", async () => {
  const monitored = await addPolicy({ ...onCall, mode: "monitor" });
  await addPolicy({ ...onCall, mode: "disabled" });
  await addPolicy({ ...onCall, expiresAt: Date.now() - 1 });
  expect(await outcome()).toBe("passed");
  const event = await lastEvent();
  expect(event.details["alsoMatched"]).toEqual([{ ...named(monitored), effect: "deny", mode: "monitor" }]);
  await harness.audit.flush();
  const counts = await harness.store.read((tx) => tx.policies.counts([monitored.id], Date.now()));
  expect(counts.get(monitored.id)).toMatchObject({ matches: 1, violations: 1, violationsLast24h: 1 });
});

test("a change of policy, group or member holds from the next message on", async () => {
  const group = aGroup();
  const member = aMember({ role: "operator", email: "ann@example.org" });
  await harness.store.transaction(async (tx) => {
    await tx.groups.insert(group);
    await tx.members.insert(member);
  });
  await addPolicy({ ...onCall, principals: { everyone: true, except: { groups: [group.id], roles: ["operator"] } } });
  expect(await outcome()).toBe("-32011 policy");
  await change({ groups: [group.id] });
  expect(await outcome()).toBe("passed");
  await change({ groups: [], owner: member.id });
  expect(await outcome()).toBe("passed");
  await harness.store.transaction(async (tx) => {
    const found = await tx.members.get(member.id);
    await tx.members.save({ ...found, role: "member", version: found.version + 1 });
  });
  expect(await outcome()).toBe("-32011 policy");
  await harness.store.transaction(async (tx) => {
    const found = await tx.members.get(member.id);
    await tx.members.save({ ...found, groups: [group.id], version: found.version + 1 });
  });
  expect(await outcome()).toBe("passed");
  await change({ owner: null });
  expect(await outcome()).toBe("-32011 policy");
});

async function change(patch: object): Promise<void> {
  await harness.store.transaction(async (tx) => {
    const found = await tx.agents.get(agent.agent.id);
    await tx.agents.save({ ...found, ...patch, version: found.version + 1 });
  });
}

test("conditions on arguments, address, client, globs and time each allow and deny", async () => {
  const only = async (rule: Rule, expected: readonly [string, unknown, string][]) => {
    const policy = await addPolicy({ ...onCall, ...rule });
    for (const [tool, args, wanted] of expected) expect(await outcome(tool, args)).toBe(wanted);
    await harness.store.transaction((tx) => tx.policies.delete(policy.id));
  };
  const denied = "-32011 policy";
  await only({ conditions: amount(100) }, [
    ["write_file", { amount: 101 }, denied],
    ["write_file", { amount: 100 }, "passed"],
    ["write_file", {}, "passed"],
  ]);
  await only({ resources: { tools: ["delete_*"] } }, [
    ["delete_file", {}, denied],
    ["read_file", {}, "passed"],
  ]);
  await only({ conditions: [{ field: "context.ip", operator: "in_cidr", value: "127.0.0.0/8" }] }, [
    ["read_file", {}, denied],
  ]);
  await only({ conditions: [{ field: "context.ip", operator: "in_cidr", value: "10.0.0.0/8" }] }, [
    ["read_file", {}, "passed"],
  ]);
  await only({ conditions: [{ field: "context.client", operator: "contains", value: "node" }] }, [
    ["read_file", {}, denied],
  ]);
  await only({ conditions: [{ field: "context.client", operator: "eq", value: "cursor" }] }, [
    ["read_file", {}, "passed"],
  ]);
  const { weekday } = localTimeIn("UTC", Date.now());
  await only({ conditions: [{ field: "context.weekday", operator: "eq", value: weekday }] }, [
    ["read_file", {}, denied],
  ]);
  await only({ conditions: [{ field: "context.weekday", operator: "neq", value: weekday }] }, [
    ["read_file", {}, "passed"],
  ]);
  await only({ conditions: [{ field: "context.time", operator: "gte", value: "00:00" }] }, [["read_file", {}, denied]]);
  await only({ conditions: [{ field: "context.time", operator: "lt", value: "00:00" }] }, [
    ["read_file", {}, "passed"],
  ]);
});

test("traits come from accepted definitions; what nobody accepted counts as destructive", async () => {
  const tool = (name: string, given: Partial<ServerTool> = {}): ServerTool => ({
    ...aTool({ name, serverId: server.id }),
    definition: { name, annotations: { readOnlyHint: true, destructiveHint: false } },
    ...given,
  });
  await harness.store.transaction((tx) =>
    tx.servers.saveTools(server.id, [
      tool("read_file"),
      tool("write_file", { state: "unreviewed" }),
      tool("delete_file", { definition: { name: "delete_file", annotations: { destructiveHint: true } } }),
    ]),
  );
  await addPolicy({ ...onCall, resources: { tools: ["trait:destructive"] } });
  expect(await outcome("read_file")).toBe("passed");
  expect(await outcome("write_file")).toBe("-32011 policy");
  expect(await outcome("delete_file")).toBe("-32011 policy");
  expect(await outcome("unheard_of_file")).toBe("-32011 policy");
  await harness.store.transaction((tx) => tx.servers.saveTools(server.id, [tool("read_file", { state: "changed" })]));
  expect(await outcome("read_file")).toBe("-32011 policy");
  await harness.store.transaction((tx) => tx.servers.saveTools(server.id, []));
});

test("every kind of message is decided by its action", async () => {
  const denied = async (rule: Rule, message: object) => {
    const policy = await addPolicy(rule);
    const { error } = await send(message);
    await harness.store.transaction((tx) => tx.policies.delete(policy.id));
    return error?.data?.["reason"];
  };
  const initialize = request(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {} });
  expect(await denied({ actions: ["connect"] }, initialize)).toBe("policy");
  expect(await denied({ actions: ["connect"] }, request(1, "tools/list"))).toBe("policy");
  // Also without a session, or in one that was open before: whoever may not connect sends nothing.
  const call = request(1, "tools/call", { name: "read_file", arguments: {} });
  expect(await denied({ actions: ["connect"] }, call)).toBe("policy");
  expect(await denied({ actions: ["read_resource"] }, request(1, "resources/read", { uri: "file:a" }))).toBe("policy");
  expect(await denied({ actions: ["get_prompt"] }, request(1, "prompts/get", { name: "p" }))).toBe("policy");
  expect(await denied({ actions: ["subscribe"] }, request(1, "resources/subscribe", { uri: "file:a" }))).toBe("policy");
  const ref = { type: "ref/prompt", name: "p" };
  expect(await denied({ actions: ["complete"] }, request(1, "completion/complete", { ref }))).toBe("policy");
  expect(await denied({ actions: ["complete"] }, request(1, "prompts/get", { name: "p" }))).toBeUndefined();
  // The default of a deny is any action, of the others calls only.
  expect(await denied({}, request(1, "prompts/get", { name: "p" }))).toBe("policy");
  expect(await denied({ effect: "require_approval" }, request(1, "prompts/get", { name: "p" }))).toBeUndefined();
});

test("lists show what could be allowed, and follow every change at once", async () => {
  const tools = async (headers: Record<string, string> = {}): Promise<unknown> => {
    const listed = (await send(request(1, "tools/list"), headers)).result?.["tools"];
    return Array.isArray(listed) ? listed.map((tool: { name: string }) => tool.name) : listed;
  };
  expect(await tools()).toEqual(["read_file", "write_file", "delete_file"]);
  const deny = await addPolicy({ resources: { tools: ["delete_*"] } });
  expect(await tools()).toEqual(["read_file", "write_file"]);
  await addPolicy({ resources: { tools: ["write_*"] }, conditions: amount(5) });
  expect(await tools()).toEqual(["read_file", "write_file"]);
  await addPolicy({
    resources: { tools: ["read_*"] },
    conditions: [{ field: "context.client", operator: "eq", value: "other" }],
  });
  expect(await tools({ "user-agent": "other" })).toEqual(["write_file"]);
  expect(await tools()).toEqual(["read_file", "write_file"]);
  await harness.store.transaction((tx) => tx.policies.delete(deny.id));
  expect(await tools()).toEqual(["read_file", "write_file", "delete_file"]);
  const soon = await addPolicy({ resources: { tools: ["read_*"] }, expiresAt: Date.now() + 2_500 });
  expect(await tools()).toEqual(["write_file", "delete_file"]);
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, (soon.expiresAt ?? 0) - Date.now()) + 5));
  expect(await tools()).toEqual(["read_file", "write_file", "delete_file"]);
});

test("a policy raises or lowers what is recorded of a call, the most protective wins", async () => {
  await addPolicy({ effect: "allow", ...onCall, audit: "full" });
  await outcome("write_file", { text: "x".repeat(1000) });
  expect((await lastEvent()).details["arguments"]).toEqual({ text: "x".repeat(1000) });
  await addPolicy({ effect: "allow", resources: { tools: ["write_*"] }, audit: "none" });
  await outcome("write_file", { secret: "s" });
  expect(JSON.stringify(await lastEvent())).not.toContain("secret");
});

test("a message that is refused because its sender may not connect is recorded as the policies that say so ask", async () => {
  const deny = await addPolicy({ audit: "none" });
  const watched = await addPolicy({ mode: "monitor" });
  expect(await outcome("write_file", { secret: "s" })).toBe("-32011 policy");
  const event = await lastEvent();
  expect(event.policies).toEqual([named(deny)]);
  expect(JSON.stringify(event)).not.toContain("secret");
  expect(event.details["alsoMatched"]).toEqual([{ ...named(watched), effect: "deny", mode: "monitor" }]);
});

test("arguments are built only where a policy reads them", async () => {
  let built = 0;
  const args = () => ({ amount: (built += 1) });
  const sender = { agentId: agent.agent.id, keyId: agent.keyId, serverId: server.id, ip: undefined, client: undefined };
  const decided = () => {
    const access = accessAs(sender, harness.liveView.current, Date.now());
    if (!access.ok) throw new Error("no access");
    const target = { type: "tool", name: "write_file" } as const;
    return decide(access.caller, { action: "call_tool", target, args }, Date.now()).effect;
  };
  await addPolicy({ ...onCall, effect: "require_approval" });
  await addPolicy({ ...onCall, resources: { tools: ["read_*"] }, conditions: amount(0) });
  expect([decided(), built]).toEqual(["held", 0]);
  await addPolicy({ ...onCall, conditions: amount(0) });
  expect(decided()).toBe("deny");
  expect(built).toBeGreaterThan(0);
});

test("look-alikes, odd names and deep arguments are decided like any other", async () => {
  await addPolicy({ ...onCall, resources: { tools: ["write_file"] } });
  expect(await outcome("wrıte_file")).toBe("passed");
  let deep: unknown = 1;
  for (let depth = 0; depth < 40; depth += 1) deep = { a: [deep] };
  expect(await outcome("write_file", deep)).toBe("-32011 policy");
  await addPolicy({ ...onCall, conditions: amount(5) });
  expect(await outcome("read_file", { amount: 1e300 })).toBe("-32011 evaluation_error");
  expect(await outcome("read_file", { amount: "NaN" })).toBe("-32011 evaluation_error");
  expect(await outcome("read_file", { amount: null })).toBe("-32011 evaluation_error");
  expect(await outcome("read_file", { __proto__: null, constructor: 1 })).toBe("passed");
  expect(await outcome("read_file", { id: newId() })).toBe("passed");
});

test("tells a client that listens when its rights change, and decides what the server sends by the new ones", async () => {
  let toClient: Received | undefined;
  const streaming = await startUpstream((received) => {
    if (received.method !== "GET") return plainServer(received);
    toClient = received;
    startSse(received);
    received.response.write(": open\n\n");
  });
  const source = await harness.addServer({ name: "streaming", url: `${streaming.url}/mcp` });
  const listener = await harness.addAgent("listener", [{ serverId: source.id }]);
  const path = `${harness.url}/gateway/streaming/mcp`;
  const initialize = request(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {} });
  const opened = await post(path, listener.key, initialize);
  const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const stream = await openStream(path, streamInit(listener.key, undefined, session));
  await addPolicy({ principals: { agents: [agent.agent.id] } });
  const deny = await addPolicy({ principals: { agents: [listener.agent.id] }, actions: ["sample", "call_tool"] });
  const told = [await stream.next(), await stream.next(), await stream.next()].map((event) => event?.message?.method);
  expect(told).toContain("notifications/tools/list_changed");
  if (toClient === undefined) throw new Error("the stream was not opened");
  sendEvent(toClient, { jsonrpc: "2.0", id: 9, method: "sampling/createMessage", params: {} });
  sendEvent(toClient, { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "after" } });
  expect((await stream.next())?.message?.method).toBe("notifications/message");
  const [event] = await harness.events("sampling.create");
  expect(event).toMatchObject({ outcome: "denied", reason: "policy", policies: [named(deny)] });
  stream.close();
  await streaming.close();
});

test("a policy on connecting that cannot be evaluated lets nobody send", async () => {
  const { ast, cedar } = parsePolicy(
    `forbid (principal, action == Runlayer::Action::"connect", resource) when { context.args.unheard == 3 };`,
  );
  const policy = aPolicy({ effect: "deny", rule: null, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
  expect(await outcome("read_file")).toBe("-32011 evaluation_error");
  await harness.store.transaction((tx) => tx.policies.delete(policy.id));
  expect(await outcome("read_file")).toBe("passed");
});
