import { Client as ModernClient, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLegacyServer, startModernServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

const SAYS = "export default ({ text }) => ({ said: text });";
const CALLS = `export default async function ({ n }, { callTool }) {
  const first = await callTool("modern", "tool-0", { text: "first " + n });
  await callTool("modern", "tool-1", { text: "then " + n });
  return { first };
}`;

let app: TestApp;
let server: RunningServer;
let modern: RunningServer;
let securityKey: string;
let adaKey: string;
let bobKey: string;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  app = await startTestApp();
  server = await startLegacyServer();
  modern = await startModernServer();
  for (const [name, { origin }] of Object.entries({ github: server, modern })) {
    const endpoint = { transport: "streamable-http", url: `${origin}/mcp`, allowPrivateNetwork: true };
    await ok("POST /servers", { name, ...endpoint });
  }
  for (const name of ["ada", "bob"])
    await ok("POST /members", { email: `${name}@example.com`, name, role: "security" });
  const keyOf = async (name: string, more: object) =>
    textAt(await ok("POST /api-keys", { name, role: "security", ...more }), "secret");
  securityKey = await keyOf("sec", {});
  adaKey = await keyOf("ada-key", { member: "ada@example.com" });
  bobKey = await keyOf("bob-key", { member: "bob@example.com" });
});

afterAll(async () => {
  for (const close of closers) await close();
  await app.close();
  await server.close();
  await modern.close();
});

async function ok(route: string, input?: unknown, key?: string): Promise<Record<string, unknown>> {
  const { status, body } = await app.rest(route, input, key);
  expect([status, body["code"]]).toEqual([200, undefined]);
  return body;
}

/** An agent of Ada's with a skill of its own, and the policy on it. */
async function scene(name: string, policy?: object, skill: object = { code: SAYS }) {
  await ok("POST /skills", { name, description: "For tests", ...skill });
  const agent = { name: `${name}-agent`, type: "custom", owner: "ada@example.com", servers: ["github", "modern"] };
  const key = textAt(await ok("POST /agents", agent), "key");
  if (policy !== undefined) {
    const resources = { skills: [name] };
    await ok("POST /policies", { name: `${name}-rule`, principals: { everyone: true }, resources, ...policy });
  }
  return { agent: agent.name, tool: `skill__${name}`, key };
}

async function connectOld(key: string): Promise<OldClient> {
  const client = new OldClient({ name: "old", version: "1" });
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new OldTransport(new URL(`${app.url}/gateway/mcp`), { requestInit }));
  closers.push(() => client.close());
  return client;
}

async function connectModern(key: string, answer?: "accept" | "decline") {
  const capabilities = answer === undefined ? {} : { elicitation: { form: {} } };
  const versionNegotiation = { mode: { pin: "2026-07-28" } };
  const client = new ModernClient({ name: "new", version: "1" }, { capabilities, versionNegotiation });
  const asked: unknown[] = [];
  if (answer !== undefined)
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params);
      return answer === "accept" ? { action: "accept", content: {} } : { action: "decline" };
    });
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${app.url}/gateway/mcp`), { requestInit }));
  closers.push(() => client.close());
  return { client, asked };
}

async function filed(agent: string, status = "pending"): Promise<unknown> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const found = at(await ok("GET /approvals", { status, agent }), "items", 0);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("nothing was filed");
}

const decide = (approval: unknown, decision: "approve" | "deny", key = securityKey) =>
  app.rest(`POST /approvals/${textAt(approval, "id")}/decide`, { decision }, key);

async function refusal(call: Promise<unknown>): Promise<{ code: unknown; data: unknown }> {
  const { code, data } = Object(
    await call.then(
      () => ({ code: "passed" }),
      (error: unknown) => error,
    ),
  );
  return { code, data };
}

async function events(filter: object): Promise<unknown[]> {
  const items = at(await ok("GET /audit-events", filter), "items");
  return Array.isArray(items) ? items : [];
}

const outcomes = async (correlationId: string) =>
  (await events({ correlationId })).map((event) => [at(event, "action"), at(event, "outcome")]);

const HOLD = { effect: "require_approval" };
const PENDING = { code: -32_012, data: { type: "runlayer.approval_pending" } };

test("a held run of a session waits, tells its progress, and runs once when a person has approved it", async () => {
  const { agent, tool, key } = await scene("waits", HOLD);
  const client = await connectOld(key);
  const progress: unknown[] = [];
  const call = { name: tool, arguments: { text: "a" } };
  const running = client.callTool(call, undefined, { onprogress: (step) => void progress.push(step) });
  const approval = await filed(agent);
  expect(approval).toMatchObject({
    agent: { name: agent },
    member: { name: "ada" },
    action: "run_skill",
    target: { type: "skill", name: "waits", version: 1 },
    arguments: { text: "a" },
    policies: [{ name: "waits-rule" }],
  });
  expect(at(approval, "server")).toBeUndefined();
  expect((await decide(approval, "approve", adaKey)).body["code"]).toBe("forbidden");
  expect((await decide(approval, "approve")).status).toBe(200);
  expect(at(await running, "structuredContent")).toEqual({ said: "a" });
  expect(progress.length).toBeGreaterThan(0);
  expect(at(await filed(agent, "used"), "id")).toBe(at(approval, "id"));
  expect(await outcomes(textAt(approval, "correlationId"))).toEqual([
    ["skill.run", "held"],
    ["approval.decide", "denied"],
    ["approval.decide", "success"],
    ["skill.run", "success"],
  ]);
});

test("an approval of a run is for its exact input and version, once, and not for a trial of it", async () => {
  const { agent, tool, key } = await scene("bound", HOLD);
  const { client } = await connectModern(key);
  const call = (text: string) => client.callTool({ name: tool, arguments: { text } });
  const first = await refusal(call("a"));
  const approval = await filed(agent);
  expect(first).toMatchObject({ ...PENDING, data: { approvalId: at(approval, "id") } });
  expect((await decide(approval, "approve")).status).toBe(200);
  expect(await refusal(call("b"))).toMatchObject(PENDING);
  const tried = await ok("POST /skills/bound/runs", { agent, input: { text: "a" } });
  expect(at(tried, "run", "status")).toBe("held");
  expect(at(await call("a"), "structuredContent")).toEqual({ said: "a" });
  const again = await refusal(call("a"));
  expect(again).toMatchObject(PENDING);
  expect(at(again.data, "approvalId")).not.toBe(at(approval, "id"));
  const next = textAt(again.data, "approvalId");
  expect((await app.rest(`POST /approvals/${next}/decide`, { decision: "approve" }, securityKey)).status).toBe(200);
  await ok("PATCH /skills/bound", { code: `${SAYS}\n// new` });
  const other = await refusal(call("a"));
  expect(other).toMatchObject(PENDING);
  expect(at(other.data, "approvalId")).not.toBe(next);
});

test("an input with half a surrogate pair runs", async () => {
  const { tool, key } = await scene("half");
  const client = await connectOld(key);
  const answer = await client.callTool({ name: tool, arguments: { text: "\ud83d" } });
  expect(answer.isError ?? false).toBe(false);
});

test("a denied run is refused, also when it is repeated", async () => {
  const { agent, tool, key } = await scene("refused", HOLD);
  const { client } = await connectModern(key);
  const call = () => refusal(client.callTool({ name: tool, arguments: { text: "a" } }));
  expect(await call()).toMatchObject(PENDING);
  await decide(await filed(agent), "deny");
  const denied = { code: -32_011, data: { type: "runlayer.denied", reason: "approval_denied" } };
  expect([await call(), await call()]).toMatchObject([denied, denied]);
});

test("of two equal runs that wait only one has the approval, and none after a new deny", async () => {
  const { agent, tool, key } = await scene("twice", HOLD);
  const call = { name: tool, arguments: { text: "a" } };
  const both = [await connectOld(key), await connectOld(key)].map((client) => refusal(client.callTool(call)));
  const approval = await filed(agent);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await decide(approval, "approve");
  const codes = (await Promise.all(both)).map(({ code }) => code);
  expect(codes).toEqual(expect.arrayContaining([-32_012, "passed"]));
  const waiting = refusal((await connectOld(key)).callTool({ ...call, arguments: { text: "b" } }));
  const next = await eventually(agent, "b");
  const deny = { effect: "deny", principals: { agents: [agent] }, resources: { skills: ["twice"] } };
  await ok("POST /policies", { name: "twice-deny", ...deny });
  await decide(next, "approve");
  expect(await waiting).toMatchObject({
    code: -32_011,
    data: { reason: "policy", policies: [{ name: "twice-deny" }] },
  });
});

async function eventually(agent: string, text: string): Promise<unknown> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const items = at(await ok("GET /approvals", { agent }), "items");
    const found = Array.isArray(items) ? items.find((item) => at(item, "arguments", "text") === text) : undefined;
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("nothing was filed");
}

test("a stateless client that can be asked is asked whether it waits", async () => {
  const { agent, tool, key } = await scene("asks", HOLD);
  const { client, asked } = await connectModern(key, "accept");
  const running = client.callTool({ name: tool, arguments: { text: "a" } });
  const approval = await filed(agent);
  await decide(approval, "approve");
  expect(at(await running, "structuredContent")).toEqual({ said: "a" });
  expect(JSON.stringify(asked)).toContain(textAt(approval, "id"));
  const declining = await connectModern(key, "decline");
  expect(await refusal(declining.client.callTool({ name: tool, arguments: { text: "b" } }))).toMatchObject(PENDING);
  expect(declining.asked).toHaveLength(1);
});

test("a held run whose client took it back, or that is forbidden meanwhile, does not start", async () => {
  const { agent, tool, key } = await scene("gone", HOLD);
  const client = await connectOld(key);
  const abort = new AbortController();
  const call = { name: tool, arguments: { text: "a" } };
  const running = refusal(client.callTool(call, undefined, { signal: abort.signal }));
  const approval = await filed(agent);
  abort.abort("no longer needed");
  await running;
  await new Promise((resolve) => setTimeout(resolve, 100));
  await decide(approval, "approve");
  expect(at(await filed(agent, "approved"), "id")).toBe(at(approval, "id"));
  expect(await outcomes(textAt(approval, "correlationId"))).not.toContainEqual(["skill.run", "success"]);
  await ok("POST /policies", {
    name: "gone-deny",
    effect: "deny",
    principals: { agents: [agent] },
    resources: { skills: ["gone"] },
  });
  expect(await refusal(client.callTool(call))).toMatchObject({ code: -32_011, data: { reason: "policy" } });
});

test("a client that goes takes its waiting run, and a waiting call of a tool, with it", async () => {
  const { agent, tool, key } = await scene("left", HOLD);
  const rule = { name: "left-tool", effect: "require_approval", principals: { agents: [agent] } };
  await ok("POST /policies", { ...rule, resources: { servers: ["github"] }, actions: ["call_tool"] });
  for (const name of [tool, "github__tool-0"]) {
    const client = await connectOld(key);
    const running = refusal(client.callTool({ name, arguments: { text: name } }));
    const approval = await filed(agent);
    // The connection goes without a word.
    await client.close();
    await running;
    await new Promise((resolve) => setTimeout(resolve, 100));
    await decide(approval, "approve");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const left = at(await ok("GET /approvals", { status: "approved", agent }), "items");
    expect(JSON.stringify(left)).toContain(textAt(approval, "id"));
    expect(await outcomes(textAt(approval, "correlationId"))).toHaveLength(2);
  }
});

const TRIALS = [
  [
    "deny",
    { effect: "deny" },
    { status: "failed", error: { code: "forbidden", details: { reason: "policy" } } },
    "denied",
  ],
  ["hold", HOLD, { status: "held" }, "held"],
  [
    "error",
    { effect: "deny", conditions: [{ field: "args.n", operator: "gt", value: 1 }] },
    { status: "failed", error: { code: "forbidden", details: { reason: "evaluation_error" } } },
    "denied",
  ],
  ["allow", { effect: "allow" }, { status: "completed", output: { said: "a" } }, "success"],
] as const;

test.each(TRIALS)(
  "a trial as an agent is decided and recorded as its own run: %s",
  async (...[name, policy, result, outcome]) => {
    const { agent } = await scene(`trial-${name}`, policy);
    for (const dryRun of [true, false]) {
      const { run } = await ok(`POST /skills/trial-${name}/runs`, { agent, input: { text: "a", n: "x" }, dryRun });
      expect(run).toMatchObject(result);
      const [event] = await events({ correlationId: textAt(run, "correlationId"), action: "skill.run", order: "desc" });
      expect(event).toMatchObject({
        outcome,
        details: { isTrial: true, agent: { name: agent } },
        policies: [{ name: `trial-${name}-rule` }],
      });
      expect(at(event, "details", "isDryRun")).toBe(dryRun ? true : undefined);
    }
    const usage = at(await ok(`GET /skills/trial-${name}`), "skill", "usageCount", "total");
    expect(usage).toBe(name === "allow" ? 1 : 0);
  },
);

test("a trial as an agent that is suspended, has no key, or has not the skill is refused and recorded", async () => {
  const { agent } = await scene("trial-row", undefined, { code: SAYS, servers: ["github"] });
  const trial = async (dryRun: boolean) =>
    at(await ok("POST /skills/trial-row/runs", { agent, input: {}, dryRun }), "run");
  const reasons: unknown[] = [];
  for (const change of [{ servers: [] }, { servers: ["github"], skills: [] }, { skills: null, status: "suspended" }]) {
    await ok(`PATCH /agents/${agent}`, change);
    for (const dryRun of [true, false]) {
      const run = await trial(dryRun);
      const [event] = await events({ correlationId: textAt(run, "correlationId"), action: "skill.run" });
      expect(at(event, "outcome")).toBe("denied");
      reasons.push([at(run, "error", "details", "reason"), at(event, "reason")]);
    }
  }
  const [none, suspended] = ["not_assigned", "agent_suspended"].map((reason) => [reason, reason]);
  expect(reasons).toEqual([none, none, none, none, suspended, suspended]);
});

test("a held trial files an approval that whoever asked for it may not give", async () => {
  const { agent } = await scene("trial-held", HOLD);
  const trial = async (key: string) =>
    at(await ok("POST /skills/trial-held/runs", { agent, input: { text: "a" } }, key), "run");
  const held = await trial(securityKey);
  const approval = await filed(agent);
  expect([at(held, "status"), at(held, "approvalId")]).toEqual(["held", at(approval, "id")]);
  expect(approval).toMatchObject({ requester: { name: "sec" } });
  expect((await decide(approval, "approve", securityKey)).body["code"]).toBe("forbidden");
  expect((await decide(approval, "approve", app.ownerKey)).body["code"]).toBe("forbidden");
  expect((await decide(approval, "approve", bobKey)).status).toBe(200);
  expect(at(await trial(bobKey), "status")).toBe("held");
  expect(await trial(securityKey)).toMatchObject({ status: "completed", output: { said: "a" } });
  expect(at(await trial(securityKey), "status")).toBe("held");
});

test("a run that goes on after an approval repeats no call, and is not told what its agent may not ask any more", async () => {
  const { agent, tool, key } = await scene("journal", undefined, { code: CALLS, servers: ["modern"] });
  const rule = { effect: "require_approval", principals: { agents: [agent] }, resources: { tools: ["tool-1"] } };
  await ok("POST /policies", { name: "journal-then", ...rule });
  const client = await connectOld(key);
  const run = (n: number, options: { signal?: AbortSignal; onprogress?: (step: unknown) => void } = {}) =>
    client.callTool({ name: tool, arguments: { n } }, undefined, options);
  /** Its client gives up the run at its second call, which a person then approves. */
  const pauseAndApprove = async (n: number): Promise<void> => {
    const abort = new AbortController();
    const waits = Promise.withResolvers<void>();
    const onprogress = (step: unknown): void => {
      if (String(at(step, "message")).endsWith("waits for an approval")) waits.resolve();
    };
    const paused = refusal(run(n, { signal: abort.signal, onprogress }));
    const approval = await filed(agent);
    await waits.promise;
    abort.abort("later");
    await paused;
    await held(agent);
    await decide(approval, "approve");
  };
  await pauseAndApprove(1);
  expect(JSON.stringify(at(await run(1), "structuredContent"))).toContain("first 1");
  const calls = await events({ agent, action: "tool.call", outcome: "success" });
  expect(calls.map((event) => at(event, "details", "tool"))).toEqual(["tool-0", "tool-1"]);

  await pauseAndApprove(2);
  const deny = { effect: "deny", principals: { agents: [agent] }, resources: { tools: ["tool-0"] } };
  await ok("POST /policies", { name: "journal-no", ...deny });
  const stopped = await run(2);
  expect(at(stopped, "structuredContent", "error")).toMatchObject({ code: "forbidden" });
  expect(JSON.stringify(stopped)).toContain("journal-no");
  expect(JSON.stringify(stopped)).not.toContain("first 2");
  const [denied] = await events({ agent, action: "tool.call", outcome: "denied" });
  expect(denied).toMatchObject({ reason: "policy", details: { isRepeated: true, tool: "tool-0" } });

  // That run made no call: the next one still goes on from where the first was held.
  await ok("DELETE /policies/journal-no", { confirm: true });
  expect(JSON.stringify(at(await run(2), "structuredContent"))).toContain("first 2");
  const made = await events({ agent, action: "tool.call", outcome: "success" });
  expect(made.map((event) => at(event, "details", "tool"))).toEqual(["tool-0", "tool-1", "tool-0", "tool-1"]);
});

/** Waits until the agent's last run has ended as held. */
async function held(agent: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const [run] = await events({ agent, action: "skill.run", order: "desc", limit: 1 });
    if (at(run, "outcome") === "held") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("no run was held");
}

test("a held call of a stateless server pauses its run too", async () => {
  const { agent, tool, key } = await scene("pauses", undefined, { code: CALLS, servers: ["modern"], timeoutMs: 1000 });
  const rule = { effect: "require_approval", principals: { agents: [agent] }, resources: { tools: ["tool-1"] } };
  await ok("POST /policies", { name: "pauses-then", ...rule });
  const { client } = await connectModern(key);
  const running = client.callTool({ name: tool, arguments: { n: 3 } });
  const approval = await filed(agent);
  // Longer than the run may take.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await decide(approval, "approve");
  expect(JSON.stringify(await running)).toContain("first 3");
});

test("runs count on monitored policies, and a policy says how much of the input is kept", async () => {
  const { agent, tool, key } = await scene("watched", { effect: "deny", mode: "monitor" });
  await ok("POST /policies", {
    name: "watched-audit",
    effect: "allow",
    principals: { agents: [agent] },
    resources: { skills: ["watched"] },
    audit: "none",
  });
  const { client } = await connectModern(key);
  expect(at(await client.callTool({ name: tool, arguments: { text: "hush" } }), "structuredContent")).toEqual({
    said: "hush",
  });
  const [event] = await events({ agent, action: "skill.run" });
  expect(at(event, "details", "alsoMatched", 0)).toMatchObject({ name: "watched-rule", mode: "monitor" });
  expect(JSON.stringify(event)).not.toContain("hush");
  expect(at(event, "details", "argumentsDigest")).toBeUndefined();
  const policy = at(await ok("GET /policies/watched-rule"), "policy");
  expect([at(policy, "matches", "total"), at(policy, "violations", "total")]).toEqual([1, 1]);
});
