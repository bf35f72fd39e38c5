import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import { decideApproval } from "../../src/domain/approval.ts";
import type { Server } from "../../src/domain/server.ts";
import { BEHIND } from "../../src/gateway/access.ts";
import type { Aggregate } from "../../src/gateway/aggregate/aggregate.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { AppError } from "../../src/lib/errors.ts";
import { parseRule } from "../../src/policy/parse-policy.ts";
import { aPolicy, aSkill, aSkillVersion } from "../harness/entities.ts";
import { post, request, type Message } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, sendEvent, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

/* A run that a held call gave up, and that is run again. */

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
/** Reads, and then deletes, which a person has to approve. */
const CODE = `export default async function (input, { callTool }) {
  const reading = callTool("files", "read_file", input);
  const first = await (input.isLenient ? reading.catch(({ code, message }) => ({ code, message })) : reading);
  return { first, second: await callTool("files", "delete_file", input) };
}`;
const stack = new AsyncDisposableStack();

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
/** What the server does with \`read_file\`. */
let read: (received: Received) => void;
/** The actions whose events find no room on the disk. */
let full: readonly string[] = [];
/** Happens before a run starts that was let in. */
let beforeRun: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  upstream = await startUpstream((received) =>
    nameOf(received) === "read_file" ? read(received) : plainServer(received),
  );
  const aggregate = (): Aggregate => harness.gateway.aggregate ?? expect.unreachable();
  const skills = openSkillRunner({
    clock: systemClock,
    stack,
    toolCaller: {
      callTool: (call, options) => aggregate().callTool(call, options),
      recheck: (call) => aggregate().recheck(call),
    },
  });
  harness = await startHarness({
    aggregate: { skills, version: "1.0.0" },
    hasApprovals: true,
    wrapAudit: failingWhenFull,
    limits: { heldCallMs: 200 },
  });
  const files = await harness.addServer({ name: "files", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: files.id }]);
  await addSkill(files);
  const rule = { principals: { everyone: true }, resources: { tools: ["delete_*"] }, actions: ["call_tool"] } as const;
  const { ast, cedar } = parseRule({ effect: "require_approval", ...rule });
  const policy = aPolicy({ effect: "require_approval", rule: { ...rule, actions: ["call_tool"] }, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
});

afterAll(async () => {
  await harness.close();
  await upstream.close();
  await stack.disposeAsync();
});

beforeEach(() => {
  read = plainServer;
  full = [];
  beforeRun = () => Promise.resolve();
});

/** The real log, unless the test says that it finds no room. */
function failingWhenFull(log: AuditLog): AuditLog {
  const stage: AuditLog["stage"] = async (draft, lingerMs) => {
    if (full.includes(draft.action)) throw new AppError("unavailable", "no space left on the device");
    if (draft.action === "skill.run") await beforeRun();
    return log.stage(draft, lingerMs);
  };
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = name === "stage" ? stage : Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function addSkill({ id, name }: Server): Promise<void> {
  const skill = aSkill({ name: "tidy" });
  const content = {
    description: "Tidies up",
    instructions: "",
    function: { code: CODE },
    servers: [{ id, name }],
    files: [],
  };
  await harness.store.transaction(async (tx) => {
    await tx.skills.insert(skill);
    await tx.skills.insertVersion(aSkillVersion({ skillId: skill.id, content }));
  });
}

function nameOf({ message }: Received): unknown {
  return message.params?.["name"];
}

const reads = (): number => upstream.received.filter((received) => nameOf(received) === "read_file").length;

async function run(input: object): Promise<Message | undefined> {
  const name = "skill__tidy";
  const { messages } = await post(
    `${harness.url}/gateway/mcp`,
    agent.key,
    request(1, "tools/call", { name, arguments: input, _meta: META }),
    { headers: { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": name } },
  );
  return messages.at(-1);
}

async function approveAll(): Promise<void> {
  const by = { type: "key", id: "k", name: "k" } as const;
  const now = Date.now();
  const { items } = await harness.store.read((tx) => tx.approvals.list({ status: "pending", now }, { limit: 200 }));
  for (const approval of items) {
    const decision = { at: now, by, note: null };
    const approved = decideApproval(approval, { status: "approved", decision, ttlMs: 60_000 });
    await harness.store.transaction((tx) => tx.approvals.save(approved));
  }
}

test.each(["tool.call", "elicitation.create"])(
  "does not repeat a call that was sent before its %s could not be recorded",
  async (action) => {
    await harness.setSettings({ auditDurability: "before-answer" });
    const before = reads();
    full = [action];
    read = (received) => {
      setTimeout(() => (full = []), 100);
      if (action === "tool.call") return plainServer(received);
      startSse(received);
      sendEvent(received, request("q", "elicitation/create", { message: "?", requestedSchema: { type: "object" } }));
    };
    expect(await run({ action, isLenient: true })).toMatchObject({
      result: { structuredContent: { error: { code: "unavailable" } } },
    });
    await approveAll();
    const message: unknown = expect.stringContaining("was sent");
    const first = { code: "unavailable", message };
    expect(await run({ action, isLenient: true })).toMatchObject({ result: { structuredContent: { first } } });
    expect(reads()).toBe(before + 1);
  },
);

test("says that it is unavailable where a repeated call is decided on while the view is behind", async () => {
  expect(await run({ n: 1 })).toMatchObject({ result: { structuredContent: { error: { code: "unavailable" } } } });
  await approveAll();
  // Its version is not there: the commit succeeds, the reload of the view fails.
  const unreadable = aSkill();
  beforeRun = async () => {
    await harness.store.transaction((tx) => tx.skills.insert(unreadable)).catch(() => undefined);
    expect(harness.liveView.current.isBehind).toBe(true);
  };
  const before = upstream.received.length;
  const refused = await run({ n: 1 });
  await harness.store.transaction((tx) => tx.skills.delete(unreadable.id));
  const error = { code: "unavailable", message: BEHIND.message };
  expect(refused).toMatchObject({ result: { isError: true, structuredContent: { error } } });
  expect(upstream.received.length).toBe(before);
  expect(harness.liveView.current.isBehind).toBe(false);
});
