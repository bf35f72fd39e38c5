import { afterAll, expect, test } from "vitest";
import { DEFAULT_LIMITS, type SandboxLimits } from "./limits.ts";
import type { CallReply, GuestCall, GuestResult, SandboxJob } from "./protocol.ts";
import { Sandbox, type SandboxHost } from "./sandbox.ts";

const sandbox = new Sandbox({ threads: 2 });
afterAll(() => sandbox.close());

interface Setup {
  readonly input?: unknown;
  readonly limits?: Partial<SandboxLimits>;
  readonly inputSchema?: unknown;
  readonly outputSchema?: unknown;
  readonly call?: (request: GuestCall) => Promise<CallReply>;
  readonly logs?: string[];
  readonly owner?: string;
}

function toJob(code: string, setup: Setup = {}): SandboxJob {
  return {
    skillName: "probe",
    code,
    inputJson: JSON.stringify(setup.input ?? {}),
    inputSchema: setup.inputSchema === undefined ? undefined : JSON.stringify(setup.inputSchema),
    outputSchema: setup.outputSchema === undefined ? undefined : JSON.stringify(setup.outputSchema),
    limits: { ...DEFAULT_LIMITS, ...setup.limits },
  };
}

function toHost(setup: Setup = {}): SandboxHost {
  return {
    owner: setup.owner ?? "agent-1",
    call: setup.call ?? (async ({ argumentsJson }) => ({ ok: true, json: argumentsJson })),
    log: (text) => void setup.logs?.push(text),
    restarted: () => undefined,
  };
}

async function run(code: string, setup: Setup = {}): Promise<GuestResult> {
  return sandbox.start(toJob(code, setup), toHost(setup)).result;
}

function output(result: GuestResult): unknown {
  return result.ok ? JSON.parse(result.outputJson) : result.error;
}

function failure(result: GuestResult): unknown {
  return result.ok ? "it succeeded" : result.error;
}

async function neverAnswer(): Promise<CallReply> {
  return new Promise(() => undefined);
}

test("runs a function on its input and gives its output", async () => {
  const code =
    "export default async function (input) { return { sum: input.a + input.b, undefinedIsDropped: undefined } }";
  expect(output(await run(code, { input: { a: 1, b: 2 } }))).toEqual({ sum: 3 });
  expect(output(await run("export default () => undefined"))).toBeNull();
});

test("bridges concurrent calls and logs, in the order of their answers", async () => {
  const logs: string[] = [];
  const code = `export default async (input, { callTool, log }) => {
    log("starting", { n: 3 });
    const all = await Promise.all([1, 2, 3].map((n) => callTool("github", "echo", { n })));
    return all.map((each) => each.n);
  }`;
  expect(output(await run(code, { logs }))).toEqual([1, 2, 3]);
  expect(logs).toEqual(['starting {"n":3}']);
});

test("throws a refusal inside the skill, with code, message and policies", async () => {
  const refusal = { code: "forbidden", message: "policy says no", policies: [{ id: "1", name: "no-writes" }] };
  const call = async (): Promise<CallReply> => ({ ok: false, error: refusal });
  const caught = `export default async (_, { callTool }) => {
    try { await callTool("s", "t") } catch (e) { return [e.code, e.message, e.policies[0].name, e instanceof Error] }
  }`;
  expect(output(await run(caught, { call }))).toEqual(["forbidden", "policy says no", "no-writes", true]);
  const uncaught = `export default async (_, { callTool }) => {
    await callTool("s", "t");
  }`;
  const result = await run(uncaught, { call });
  expect(result).toMatchObject({ ok: false, refusedCall: 1, error: { message: "policy says no" } });
  expect(failure(result)).toMatchObject({ stack: [expect.stringContaining("skill.js:2")] });
});

test("names the skill's own lines when it throws, and none of ours", async () => {
  const code = `function inner() {
    throw new TypeError("bad month");
  }
  export default async function format() {
    inner();
  }`;
  const error = failure(await run(code));
  expect(error).toMatchObject({
    code: "upstream_error",
    message: "the skill threw `TypeError: bad month`",
    stack: [expect.stringMatching(/^at inner \(skill\.js:2/), expect.stringMatching(/^at format \(skill\.js:5/)],
  });
});

test("refuses code that does not parse, imports, or has no function", async () => {
  const bad = await run("export default async function () {\n  return 1 +;\n}");
  expect(failure(bad)).toMatchObject({ code: "invalid_input", message: expect.stringContaining("line 2") });
  const imported = await run('import fs from "node:fs"; export default () => 1');
  expect(failure(imported)).toMatchObject({ code: "invalid_input", message: expect.stringContaining("`import`") });
  expect(failure(await run("export const a = 1"))).toMatchObject({ code: "invalid_input" });
});

test("checks input and output against the schemas and says where they do not fit", async () => {
  const schema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
  const code = "export default (input) => input.n > 1 ? { n: 'two' } : input";
  expect(failure(await run(code, { input: {}, inputSchema: schema }))).toMatchObject({ code: "invalid_input" });
  expect(failure(await run(code, { input: { n: 2 }, outputSchema: schema }))).toMatchObject({
    code: "upstream_error",
    details: { path: "/n" },
  });
  expect(output(await run(code, { input: { n: 1 }, inputSchema: schema, outputSchema: schema }))).toEqual({ n: 1 });
  const unusable = { type: "nonsense" };
  expect(failure(await run(code, { inputSchema: unusable }))).toMatchObject({
    code: "invalid_input",
    message: expect.stringContaining("`inputSchema`"),
  });
});

test("ends each excess with the limit's name", async () => {
  const calls = `export default async (_, { callTool }) => { for (;;) await callTool("s", "t") }`;
  const cases: readonly (readonly [string, Partial<SandboxLimits>, string])[] = [
    ["export default () => { for (;;); }", { cpuMs: 100 }, "cpuMs"],
    ["export default async () => { for (;;) await null }", { cpuMs: 100 }, "cpuMs"],
    ["export default () => { const a = []; for (;;) a.push(new Array(1000).fill(1)) }", { cpuMs: 5000 }, "memoryBytes"],
    ["export default () => 'x'.repeat(2000)", { outputBytes: 1000 }, "outputBytes"],
    ["export default (_, { log }) => { log('x'.repeat(2000)) }", { logBytes: 1000 }, "logBytes"],
    ["export default (_, { log }) => { for (let i = 0; i < 20; i++) log('x') }", { logLinesMax: 10 }, "logLinesMax"],
    [calls, { callsMax: 5 }, "callsMax"],
  ];
  for (const [code, limits, limit] of cases) {
    expect(failure(await run(code, { limits }))).toMatchObject({ code: "limit_exceeded", details: { limit } });
  }
});

test("ends a run that waits for a call too long, and one that waits for nothing at once", async () => {
  const code = `export default (_, { callTool }) => callTool("s", "t")`;
  expect(failure(await run(code, { call: neverAnswer, limits: { wallMs: 50 } }))).toMatchObject({ code: "timeout" });
  const startedAt = performance.now();
  expect(failure(await run("export default () => new Promise(() => {})"))).toMatchObject({ code: "timeout" });
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test("the wall clock stands still while a run is paused", async () => {
  const { promise, resolve } = Promise.withResolvers<CallReply>();
  const setup: Setup = { limits: { wallMs: 150 }, call: async () => promise };
  const paused = sandbox.start(toJob(`export default (_, { callTool }) => callTool("s", "t")`, setup), toHost(setup));
  paused.pause();
  setTimeout(() => {
    paused.resume();
    resolve({ ok: true, json: "7" });
  }, 400);
  expect(output(await paused.result)).toBe(7);
});

test("stops a run from outside, even inside an endless loop", async () => {
  const setup: Setup = { limits: { cpuMs: 20_000 } };
  const endless = sandbox.start(toJob("export default () => { for (;;); }", setup), toHost());
  await new Promise((resolve) => setTimeout(resolve, 200));
  endless.stop({ code: "timeout", message: "cancelled" });
  expect(failure(await endless.result)).toMatchObject({ message: "cancelled" });
  // Both threads answer at once afterwards: the loop was left, not waited for.
  const after = await Promise.all([run("export default () => 1"), run("export default () => 2")]);
  expect(after.map(output)).toEqual([1, 2]);
});

test("a run that never yields delays nobody beyond its own thread", async () => {
  await Promise.all([run("export default () => 1"), run("export default () => 1")]);
  const hog = run("export default () => { for (;;); }", { limits: { cpuMs: 2_000 } });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const startedAt = performance.now();
  for (let index = 0; index < 20; index += 1) expect(output(await run("export default () => 1"))).toBe(1);
  expect(performance.now() - startedAt).toBeLessThan(1_500);
  expect(failure(await hog)).toMatchObject({ code: "limit_exceeded" });
});

test("ends a thread that is stuck in one native step and starts its innocent runs over", async () => {
  const single = new Sandbox({ threads: 1 });
  let restarts = 0;
  const { promise, resolve } = Promise.withResolvers<CallReply>();
  const setup: Setup = { call: async () => promise };
  const host: SandboxHost = { ...toHost(setup), restarted: () => void (restarts += 1) };
  const innocent = single.start(toJob(`export default (_, { callTool }) => callTool("s", "t")`, setup), host);
  // The pattern is tried by the host's own engine, which knows nothing of the deadline.
  const schema = { type: "string", pattern: "^(a+)+$" };
  const stuckSetup: Setup = { input: `${"a".repeat(60)}!`, inputSchema: schema, limits: { cpuMs: 100 } };
  const stuck = single.start(toJob("export default () => 1", stuckSetup), toHost());
  expect(failure(await stuck.result)).toMatchObject({ code: "limit_exceeded" });
  resolve({ ok: true, json: '"still here"' });
  expect(output(await innocent.result)).toBe("still here");
  expect(restarts).toBe(1);
  expect(single.stats()).toMatchObject({ running: 0, threadsLost: 1 });
  await single.close();
});

test("refuses runs beyond the queue, and all of them after close", async () => {
  const small = new Sandbox({ threads: 1, runsMax: 1, queueMax: 1 });
  const setup: Setup = { call: neverAnswer };
  const job = toJob(`export default (_, { callTool }) => callTool("s", "t")`, setup);
  const first = small.start(job, toHost(setup));
  const second = small.start(job, toHost(setup));
  expect(() => small.start(job, toHost(setup))).toThrow(expect.objectContaining({ code: "rate_limited" }));
  await small.close();
  expect(failure(await first.result)).toMatchObject({ code: "unavailable" });
  expect(failure(await second.result)).toMatchObject({ code: "unavailable" });
  expect(() => small.start(job, toHost(setup))).toThrow(expect.objectContaining({ code: "unavailable" }));
});

test("one agent leaves places for others, and room in the queue", async () => {
  const shared = new Sandbox({ threads: 1, runsMax: 4, queueMax: 4 });
  const start = (owner: string, wallMs = 10_000) => {
    const call = owner === "greedy" ? neverAnswer : undefined;
    const job = toJob(`export default (_, { callTool }) => callTool("s", "t")`, { limits: { wallMs } });
    return shared.start(job, toHost({ owner, ...(call === undefined ? {} : { call }) }));
  };
  const running = [start("greedy"), start("greedy")];
  const waiting = [start("greedy", 300), start("greedy", 300)];
  expect(shared.stats()).toMatchObject({ running: 2, queued: 2 });
  expect(() => start("greedy")).toThrow(expect.objectContaining({ code: "rate_limited" }));
  expect(output(await start("other").result)).toEqual({});
  expect(output(await start("third").result)).toEqual({});
  const ends = await Promise.all(waiting.map(({ result }) => result));
  expect(ends.map(failure)).toMatchObject([{ code: "rate_limited" }, { code: "rate_limited" }]);
  const next = start("greedy");
  expect(shared.stats()).toMatchObject({ running: 2, queued: 1 });
  // What ends frees its place.
  running[0]?.stop({ code: "timeout", message: "given up" });
  expect(shared.stats()).toMatchObject({ running: 2, queued: 0 });
  await shared.close();
  expect(failure(await next.result)).toMatchObject({ code: "unavailable" });
});

test("ends a thread that stays stuck in a run that was given up", async () => {
  const single = new Sandbox({ threads: 1 });
  const schema = { type: "string", pattern: "^(a+)+$" };
  const setup: Setup = { input: `${"a".repeat(60)}!`, inputSchema: schema, limits: { wallMs: 100 } };
  const stuck = single.start(toJob("export default () => 1", setup), toHost());
  expect(failure(await stuck.result)).toMatchObject({ code: "timeout" });
  await expect.poll(() => single.stats().threadsLost, { timeout: 10_000 }).toBe(1);
  expect(output(await single.start(toJob("export default () => 1"), toHost()).result)).toBe(1);
  await single.close();
});
