import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import { decideApproval } from "../../src/domain/approval.ts";
import type { Policy, StructuredRule } from "../../src/domain/policy.ts";
import type { Server } from "../../src/domain/server.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { parseRule } from "../../src/policy/parse-policy.ts";
import { aMember, aPolicy, aSkill, aSkillVersion, aTool } from "../harness/entities.ts";
import { call, post } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, startUpstream, type TestUpstream } from "./upstream.ts";

// What changes between the moment in which an approval is used up and the one in which the gateway goes on.
const PENDING = { code: -32_012 };
const skill = aSkill({ name: "says" });
const stack = new AsyncDisposableStack();

let harness: Harness;
let upstream: TestUpstream;
let server: Server;
let agent: AgentKey;
let whenApproved: () => Promise<void>;
let calls = 0;
const policies: Policy[] = [];

beforeAll(async () => {
  const nothing = () => Promise.reject(new Error("this skill calls nothing"));
  const runner = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  harness = await startHarness({
    hasApprovals: true,
    aggregate: { skills: runner, version: "1.0.0" },
    onClaimed: async ({ state }) => {
      if (state === "approved") await whenApproved();
    },
    limits: { heldCallMs: 200 },
  });
  upstream = await startUpstream(plainServer);
  server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  await harness.store.transaction(async ({ skills }) => {
    await skills.insert(skill);
    await skills.insertVersion(versionOf(1));
  });
});

beforeEach(async () => {
  calls += 1;
  whenApproved = () => Promise.resolve();
  await define("first");
  await addPolicy("require_approval", { resources: { tools: ["delete_*"] }, actions: ["call_tool"] });
  await addPolicy("require_approval", { resources: { skills: [skill.id] }, actions: ["run_skill"] });
});

afterEach(async () => {
  await harness.store.transaction(async (tx) => {
    for (const { id } of policies.splice(0)) await tx.policies.delete(id);
    const found = await tx.agents.get(agent.agent.id);
    await tx.agents.save({ ...found, status: "active", owner: null, version: found.version + 1 });
    const known = await tx.skills.find(skill.id);
    if (known !== undefined) await tx.skills.save({ ...known, servingVersion: 1, version: known.version + 1 });
  });
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
  await stack.disposeAsync();
});

const versionOf = (version: number) =>
  aSkillVersion({
    skillId: skill.id,
    version,
    digest: `sha256:${String(version).repeat(64)}`,
    content: {
      description: "Says it",
      instructions: "",
      function: { code: `export default ({ text }) => ({ said: text, by: ${version} });` },
      servers: [],
      files: [],
    },
  });

/** The accepted definition of the tool becomes another one. */
async function define(digest: string): Promise<void> {
  const tool = aTool({ serverId: server.id, name: "delete_file", digest });
  await harness.store.transaction((tx) => tx.servers.saveTools(server.id, [tool]));
}

async function addPolicy(effect: "require_approval" | "deny", given: Partial<StructuredRule>): Promise<void> {
  const rule = { principals: { everyone: true }, resources: { everything: true }, ...given };
  const { ast, cedar } = parseRule({ effect, ...rule });
  const policy = aPolicy({ effect, rule, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
  policies.push(policy);
}

async function changeAgent(patch: { readonly status?: "suspended"; readonly owner?: string }): Promise<void> {
  await harness.store.transaction(async (tx) => {
    const found = await tx.agents.get(agent.agent.id);
    await tx.agents.save({ ...found, ...patch, version: found.version + 1 });
  });
}

async function approveAll(): Promise<void> {
  const filter = { status: "pending", now: Date.now() } as const;
  const { items } = await harness.store.read((tx) => tx.approvals.list(filter, { limit: 200 }));
  const decision = { at: Date.now(), by: { type: "key", id: "k", name: "k" }, note: null } as const;
  for (const approval of items) {
    const decided = decideApproval(approval, { status: "approved", decision, ttlMs: 60_000 });
    await harness.store.transaction((tx) => tx.approvals.save(decided));
  }
}

async function sendCall() {
  const { messages } = await post(`${harness.url}/gateway/s/mcp`, agent.key, call(1, "delete_file", { calls }));
  return messages.at(-1);
}

async function approvedCall() {
  const held = await sendCall();
  expect(held?.error).toMatchObject(PENDING);
  await approveAll();
  return { heldBy: held?.error?.data?.["approvalId"], sentBefore: upstream.received.length };
}

test.each(["second", "gone"])(
  "a call whose tool's definition changes while its approval is claimed is held anew: %s",
  async (digest) => {
    const { heldBy, sentBefore } = await approvedCall();
    whenApproved = () =>
      digest === "gone" ? harness.store.transaction((tx) => tx.servers.saveTools(server.id, [])) : define(digest);
    const refused = await sendCall();
    expect(refused?.error).toMatchObject({ ...PENDING, data: { type: "runlayer.approval_pending" } });
    expect(refused?.error?.data?.["approvalId"]).not.toBe(heldBy);
    expect(upstream.received.length).toBe(sentBefore);
    expect((await harness.events("tool.call")).at(-1)).toMatchObject({
      outcome: "held",
      details: { approvalId: refused?.error?.data?.["approvalId"] },
    });
  },
);

test("a call whose tool becomes one that it is approved for, too, uses that approval and is sent once", async () => {
  await approvedCall();
  await define("second");
  const { sentBefore } = await approvedCall();
  await define("first");
  whenApproved = () => define("second");
  expect(await sendCall()).toMatchObject({ result: { content: [{ type: "text" }] } });
  expect(upstream.received.length).toBe(sentBefore + 1);
  whenApproved = () => Promise.resolve();
  expect((await sendCall())?.error).toMatchObject(PENDING);
});

test("a call whose acting member changes while its approval is claimed is held anew", async () => {
  const { sentBefore } = await approvedCall();
  const member = aMember();
  await harness.store.transaction((tx) => tx.members.insert(member));
  whenApproved = () => changeAgent({ owner: member.id });
  expect((await sendCall())?.error).toMatchObject(PENDING);
  expect(upstream.received.length).toBe(sentBefore);
});

async function connect(): Promise<Client> {
  const client = new Client({ name: "claims", version: "1" });
  const requestInit = { headers: { Authorization: `Bearer ${agent.key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${harness.url}/gateway/mcp`), { requestInit }));
  stack.defer(() => client.close());
  return client;
}

async function run(client: Client, signal?: AbortSignal) {
  const params = { name: "skill__says", arguments: { text: `run ${calls}` } };
  try {
    const { structuredContent } = await client.callTool(params, signal === undefined ? {} : { signal });
    return { output: structuredContent };
  } catch (error) {
    const { code, data } = Object(error);
    return { code, data };
  }
}

async function approvedRun() {
  const client = await connect();
  expect(await run(client)).toMatchObject(PENDING);
  await approveAll();
  return client;
}

/** What the log says of the run after its hold. */
async function lastRun() {
  const runs = await harness.events("skill.run");
  return runs.at(-1);
}

test("a run that is approved runs once", async () => {
  const client = await approvedRun();
  expect(await run(client)).toEqual({ output: { said: `run ${calls}`, by: 1 } });
  expect(await run(client)).toMatchObject(PENDING);
});

test("a run that its client takes back while its approval is claimed does not start", async () => {
  const client = await approvedRun();
  const abort = new AbortController();
  whenApproved = async () => {
    abort.abort("no longer needed");
    await new Promise((resolve) => setTimeout(resolve, 400));
  };
  await run(client, abort.signal);
  await expect.poll(lastRun).toMatchObject({ outcome: "error", reason: "client_disconnected" });
});

test("a run that is forbidden while its approval is claimed does not start", async () => {
  const client = await approvedRun();
  whenApproved = () => addPolicy("deny", { resources: { skills: [skill.id] }, actions: ["run_skill"] });
  expect(await run(client)).toMatchObject({ code: -32_011, data: { reason: "policy" } });
  expect(await lastRun()).toMatchObject({ outcome: "denied", reason: "policy" });
});

test("a run whose agent is suspended while its approval is claimed does not start, and the log says so", async () => {
  const client = await approvedRun();
  const before = (await harness.events("skill.run")).length;
  whenApproved = () => changeAgent({ status: "suspended" });
  const leave = new AbortController();
  const running = run(client, leave.signal);
  await expect.poll(async () => (await harness.events("skill.run")).length).toBe(before + 1);
  expect(await lastRun()).toMatchObject({ outcome: "error" });
  leave.abort();
  expect(await running).not.toHaveProperty("output");
});

test("a run whose acting member changes while its approval is claimed is held anew", async () => {
  const client = await approvedRun();
  const member = aMember();
  await harness.store.transaction((tx) => tx.members.insert(member));
  whenApproved = () => changeAgent({ owner: member.id });
  expect(await run(client)).toMatchObject(PENDING);
  expect(await lastRun()).toMatchObject({ outcome: "held" });
});

test("a run whose skill gets another version while its approval is claimed is held anew", async () => {
  const client = await approvedRun();
  whenApproved = () =>
    harness.store.transaction(async ({ skills }) => {
      await skills.insertVersion(versionOf(2));
      const found = await skills.get(skill.id);
      await skills.save({ ...found, servingVersion: 2, latestVersion: 2, version: found.version + 1 });
    });
  expect(await run(client)).toMatchObject(PENDING);
  await approveAll();
  whenApproved = () => Promise.resolve();
  expect(await run(client)).toEqual({ output: { said: `run ${calls}`, by: 2 } });
});

test("a run whose skill is deleted while its approval is claimed does not start", async () => {
  const client = await approvedRun();
  whenApproved = async () => {
    await harness.store.transaction((tx) => tx.skills.delete(skill.id));
  };
  expect(await run(client)).toMatchObject({ code: -32_011, data: { reason: "not_assigned" } });
  expect(await lastRun()).toMatchObject({ outcome: "denied" });
});
