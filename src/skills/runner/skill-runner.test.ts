import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import type { ToolCall, ToolCallOptions, ToolCallOutcome } from "./ports.ts";
import { createSkillRunner, type RunnableSkill, type SkillRunner, type SkillRunnerOptions } from "./skill-runner.ts";

const CALLER = { agentId: "agent-1", correlationId: "run-1" };
let runner: SkillRunner | undefined;
afterEach(async () => runner?.close());

type Answer = (call: ToolCall, options: ToolCallOptions) => Promise<ToolCallOutcome>;

type Recheck = (call: ToolCall) => { code: string; message: string } | undefined;

function start(
  answer: Answer,
  { recheck = () => undefined, ...options }: Partial<SkillRunnerOptions> & { recheck?: Recheck } = {},
): { runner: SkillRunner; calls: ToolCall[] } {
  const calls: ToolCall[] = [];
  const toolCaller = {
    recheck: async (call: ToolCall) => recheck(call),
    callTool: async (call: ToolCall, callOptions: ToolCallOptions) => {
      calls.push(call);
      return answer(call, callOptions);
    },
  };
  runner = createSkillRunner({ toolCaller, clock: systemClock, sandbox: { threads: 1 }, ...options });
  return { runner, calls };
}

function skill(body: string, fields: Partial<RunnableSkill> = {}): RunnableSkill {
  const code = `export default async function (input, { callTool, log }) { ${body} }`;
  return { name: "probe", code, servers: ["github"], ...fields };
}

const held: Answer = async (_call, options) => {
  options.onHeld("a-2");
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  return { status: "success", json: "1" };
};

const NOTHING: ToolCallOptions = {
  signal: new AbortController().signal,
  onHeld: () => undefined,
  onProgress: () => undefined,
};

const echo: Answer = async ({ argumentsJson }) => ({ status: "success", json: argumentsJson });

test("runs with tools as the caller and reports usage, logs and progress", async () => {
  const { runner, calls } = start(echo);
  const seen: string[] = [];
  const result = await runner.run({
    skill: skill("log('hi'); return callTool('github', 'echo', { n: input.n })"),
    input: { n: 4 },
    caller: CALLER,
    onProgress: (progress) => seen.push(progress.type),
  });
  expect(result).toMatchObject({ status: "completed", output: { n: 4 }, usage: { calls: 1 }, logs: ["hi"] });
  expect(calls).toMatchObject([{ server: "github", tool: "echo", argumentsJson: '{"n":4}', caller: CALLER }]);
  expect(seen).toEqual(["log", "call", "call"]);
});

test("only what the skill declares reaches the port", async () => {
  const { runner, calls } = start(echo);
  const tools = ["read_*", "github/list_issues"];
  const attempt = `const out = [];
    for (const [s, t] of input) { try { await callTool(s, t); out.push(true) } catch (e) { out.push(e.code) } }
    return out;`;
  const input = [
    ["github", "read_file"],
    ["github", "list_issues"],
    ["github", "delete_repo"],
    ["slack", "read_file"],
    ["github", "list_issues_all"],
  ];
  const result = await runner.run({ skill: skill(attempt, { tools }), input, caller: CALLER });
  expect(result).toMatchObject({ output: [true, true, "forbidden", "forbidden", "forbidden"] });
  expect(calls).toHaveLength(2);
});

test("a refusal that ends the run names the policy, whatever the skill made of the error", async () => {
  const policies = [{ id: "p1", name: "no-deletes" }];
  const { runner } = start(async () => ({
    status: "refused",
    wasSent: false,
    error: { code: "forbidden", message: "policy `no-deletes` denies it", policies },
  }));
  const plain = await runner.run({ skill: skill("await callTool('github', 'delete')"), input: {}, caller: CALLER });
  expect(plain).toMatchObject({ status: "failed", error: { code: "forbidden", details: { policies } } });
  const forged = skill(
    "const e = new Error('x'); e.code = 'internal'; e.policies = [{ id: '9', name: 'fake' }]; throw e",
  );
  const result = await runner.run({ skill: forged, input: {}, caller: CALLER });
  expect(result).toMatchObject({ status: "failed", error: { code: "upstream_error" } });
  expect(JSON.stringify(result)).not.toContain("fake");
});

test("a rerun is given the calls that were made and makes only the others", async () => {
  let isApproved = false;
  const { runner, calls } = start(async (call) => {
    if (call.tool !== "close" || isApproved) return { status: "success", json: '{"done":true}' };
    return { status: "held", approvalId: "a-1" };
  });
  const body = `await callTool('github', 'list', { page: 1 }); await callTool('github', 'list', { page: 1 });
    return callTool('github', 'close', { n: 1 });`;
  const first = await runner.run({ skill: skill(body), input: {}, caller: CALLER });
  expect(first).toMatchObject({ status: "held", approvalId: "a-1", usage: { calls: 3 } });
  expect(first.journal).toHaveLength(2);
  isApproved = true;
  const second = await runner.run({ skill: skill(body), input: {}, caller: CALLER, journal: first.journal });
  expect(second).toMatchObject({ status: "completed", output: { done: true }, usage: { calls: 1 } });
  expect(calls.map((call) => call.tool)).toEqual(["list", "list", "close", "close"]);
});

test("a run that is given up as held waits for its other calls, and neither repeats nor loses them", async () => {
  let isApproved = false;
  const { runner, calls } = start(async (call, { signal }) => {
    if (call.tool === "close") return isApproved ? echo(call, NOTHING) : { status: "held", approvalId: "a-1" };
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (signal.aborted) return { status: "refused", wasSent: true, error: { code: "timeout", message: "aborted" } };
    return { status: "success", json: '"sent"' };
  });
  const body = "return Promise.all([callTool('github', 'send'), callTool('github', 'close')])";
  const first = await runner.run({ skill: skill(body), input: {}, caller: CALLER });
  expect(first).toMatchObject({
    status: "held",
    approvalId: "a-1",
    journal: [{ reply: { ok: true, json: '"sent"' } }],
  });
  isApproved = true;
  const second = await runner.run({ skill: skill(body), input: {}, caller: CALLER, journal: first.journal });
  expect(second).toMatchObject({ status: "completed", output: ["sent", {}] });
  expect(calls.map(({ tool }) => tool)).toEqual(["send", "close", "close"]);
});

test("a recorded answer is given again only to who might still ask for it", async () => {
  let isRevoked = false;
  const refused = { code: "forbidden", message: "not any more" };
  const asked: string[] = [];
  const { runner, calls } = start(
    async ({ tool }) =>
      tool === "close" ? { status: "held", approvalId: "a-1" } : { status: "success", json: '"secret"' },
    {
      recheck: ({ tool }) => {
        asked.push(tool);
        return isRevoked ? refused : undefined;
      },
    },
  );
  const body = `const got = []; for (const tool of ["read", "fail"]) {
    try { got.push(await callTool('github', tool)) } catch (error) { got.push(error.code) } }
    if (got.includes("forbidden")) return got; return callTool('github', 'close');`;
  const request = { skill: skill(body), input: {}, caller: CALLER };
  const first = await runner.run(request);
  expect([first.status, asked]).toEqual(["held", []]);
  isRevoked = true;
  const second = await runner.run({ ...request, journal: first.journal });
  expect(second).toMatchObject({ status: "completed", output: ["forbidden", "forbidden"] });
  expect(JSON.stringify(second.journal)).not.toBe("[]");
  expect([asked, calls.length]).toEqual([["read", "fail"], 3]);
});

test("a held call stops the clock; beyond the node's number, or too long, the run is given up as held", async () => {
  const { runner } = start(held, { heldRunsMax: 1, limits: { wallMs: 2_000 } });
  const request = { skill: skill("return callTool('github', 'close')"), input: {}, caller: CALLER };
  const [first, second] = await Promise.all([runner.run(request), runner.run(request)]);
  expect(first).toMatchObject({ status: "completed", output: 1 });
  expect(second).toMatchObject({ status: "held", approvalId: "a-2" });
  await runner.close();
  const impatient = start(held, { holdMsMax: 50 }).runner;
  expect(await impatient.run(request)).toMatchObject({ status: "held", approvalId: "a-2" });
});

test("cancelling ends the run and aborts its calls", async () => {
  let aborted = false;
  const controller = new AbortController();
  const { runner } = start(
    async (_call, { signal }) =>
      new Promise(() => {
        signal.addEventListener("abort", () => (aborted = true));
        controller.abort();
      }),
  );
  const result = await runner.run({
    skill: skill("await callTool('github', 'slow')"),
    input: {},
    caller: CALLER,
    signal: controller.signal,
  });
  expect(result).toMatchObject({ status: "failed", error: { code: "timeout" } });
  expect(aborted).toBe(true);
});

test("a run whose caller goes while it waits for an approval can be continued", async () => {
  const controller = new AbortController();
  const { runner, calls } = start(async ({ tool }, options) => {
    if (tool === "read") return { status: "success", json: "1" };
    options.onHeld("a-3");
    controller.abort();
    return new Promise(() => undefined);
  });
  const request = { skill: skill("await callTool('github', 'read'); await callTool('github', 'close')"), input: {} };
  const result = await runner.run({ ...request, caller: CALLER, signal: controller.signal });
  expect(result).toMatchObject({ status: "held", approvalId: "a-3", error: { code: "timeout" } });
  expect([result.journal.length, calls.length]).toEqual([1, 2]);
});

test("at most eight calls are under way at a time, and a failing port is a refusal", async () => {
  let open = 0;
  let most = 0;
  const { runner } = start(async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open -= 1;
    throw new Error("/secret/path");
  });
  const body = `const all = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => callTool('github', 'x', { n })));
    return all.map((each) => each.reason.code + each.reason.message);`;
  const result = await runner.run({ skill: skill(body), input: {}, caller: CALLER });
  expect(most).toBe(8);
  expect(JSON.stringify(result)).not.toContain("secret");
  expect(result).toMatchObject({ status: "completed" });
});

test("results beyond what a run may hold end it", async () => {
  const { runner } = start(async () => ({ status: "success", json: JSON.stringify("x".repeat(500)) }), {
    limits: { journalBytes: 1_000 },
  });
  const body = "for (let n = 0; n < 5; n++) await callTool('github', 'x', { n })";
  const result = await runner.run({ skill: skill(body), input: {}, caller: CALLER });
  expect(result).toMatchObject({
    status: "failed",
    error: { code: "limit_exceeded", details: { limit: "journalBytes" } },
  });
});
