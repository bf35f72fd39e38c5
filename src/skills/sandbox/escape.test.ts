import { afterAll, expect, test } from "vitest";
import { DEFAULT_LIMITS, type SandboxLimits } from "./limits.ts";
import type { GuestResult, SandboxJob } from "./protocol.ts";
import { Sandbox, type SandboxHost } from "./sandbox.ts";

/**
 * The escape set: each probe tries one way out of the sandbox, or one way to harm the host, while a neighbour runs. A
 * probe passes when it gets nothing (its expectation says how that looks), the neighbour answers and the host is unharmed.
 */
const sandbox = new Sandbox({ threads: 2 });
afterAll(() => sandbox.close());

const LIMITS: SandboxLimits = { ...DEFAULT_LIMITS, cpuMs: 300, wallMs: 5_000 };

const host: SandboxHost = {
  owner: "agent-1",
  call: async ({ argumentsJson, tool }) =>
    tool === "fail"
      ? { ok: false, error: { code: "forbidden", message: "no", policies: [{ id: "1", name: "p" }] } }
      : { ok: true, json: argumentsJson },
  log: () => undefined,
  restarted: () => undefined,
};

function toJob(code: string, inputJson = "{}"): SandboxJob {
  return { skillName: "probe", code, inputJson, limits: LIMITS };
}

async function run(code: string): Promise<GuestResult> {
  return sandbox.start(toJob(code), host).result;
}

/** A body that gives `true` when it found something that it should not have. */
function skill(body: string): string {
  return `export default async function (input, { callTool, log }) { ${body} }`;
}

/** Finds nothing: the probe ends and gives false. */
const NOTHING: readonly (readonly [string, string])[] = [
  ["process", "return typeof process !== 'undefined'"],
  ["require", "return typeof require !== 'undefined' || typeof module !== 'undefined'"],
  ["node globals", "return ['Buffer', 'global', '__dirname', 'setImmediate'].some((n) => n in globalThis)"],
  ["network", "return ['fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource'].some((n) => n in globalThis)"],
  ["workers", "return ['Worker', 'SharedWorker', 'MessageChannel', 'postMessage'].some((n) => n in globalThis)"],
  ["WebAssembly", "return 'WebAssembly' in globalThis"],
  ["engine modules", "return ['std', 'os', 'bjson', 'scriptArgs', 'print', 'console'].some((n) => n in globalThis)"],
  ["timers", "return ['setTimeout', 'setInterval', 'requestAnimationFrame'].some((n) => n in globalThis)"],
  ["fine clock", "return typeof performance !== 'undefined' && 'now' in performance"],
  [
    "date finer than 1 ms",
    "for (let i = 0; i < 2000; i++) if (!Number.isInteger(Date.now())) return true; return false",
  ],
  ["Atomics as a clock", "return typeof Atomics !== 'undefined'"],
  ["Temporal", "return typeof Temporal !== 'undefined'"],
  [
    "weak references show collection",
    "return typeof WeakRef !== 'undefined' || typeof FinalizationRegistry !== 'undefined'",
  ],
  ["time zone of the host", "return new Date(2026, 0, 1).getTimezoneOffset() !== 0"],
  ["eval", "try { return eval('1') === 1 } catch { return false }"],
  ["indirect eval", "try { return (0, eval)('1') === 1 } catch { return false }"],
  ["Function", "try { return Function('return 1')() === 1 } catch { return false }"],
  ["function constructor", "try { return (() => {}).constructor('return 1')() === 1 } catch { return false }"],
  ["async constructor", "try { return !!(async () => {}).constructor('return 1') } catch { return false }"],
  ["generator constructor", "try { return !!(function* () {}).constructor('yield 1') } catch { return false }"],
  ["async generator constructor", "try { return !!(async function* () {}).constructor('') } catch { return false }"],
  ["callTool's constructor", "try { return !!callTool.constructor('return this')() } catch { return false }"],
  ["reflect construct", "try { return !!Reflect.construct(Function, ['return 1']) } catch { return false }"],
  ["dynamic import of node", "try { await import('node:fs'); return true } catch { return false }"],
  ["dynamic import of data", "try { await import('data:text/javascript,1'); return true } catch { return false }"],
  ["dynamic import of itself", "try { await import('skill.js'); return 'self' !== 'self' } catch { return false }"],
  ["import.meta", "return Object.keys(import.meta).some((k) => String(import.meta[k]).includes('/'))"],
  ["this of the function", "return this !== undefined"],
  ["caller and arguments", "try { return !!callTool.caller || !!callTool.arguments } catch { return false }"],
  [
    "prelude in the global object",
    "return Object.getOwnPropertyNames(globalThis).some((n) => /host|settle|prelude/i.test(n))",
  ],
  ["source of the host", "return /host|pending/.test(String(log)) && String(callTool).includes('postMessage')"],
  [
    "stack of a refusal",
    "try { await callTool('s', 'fail') } catch (e) { return /node:|file:|\\/work|worker/.test(e.stack) }",
  ],
  [
    "stack of a host error",
    "try { callTool.call(null, 's', 't', { get a() { throw new Error('x') } }).catch(() => 0); return false } catch (e) { return /node:|file:/.test(e.stack) }",
  ],
  [
    "prepareStackTrace",
    "Error.prepareStackTrace = (_, s) => s; const s = new Error('x').stack; return Array.isArray(s) && s.some((f) => { try { return f.getThis && f.getThis() === globalThis.process && !!globalThis.process } catch { return false } })",
  ],
  [
    "prototype of a result",
    "const r = await callTool('s', 't', { a: {} }); return Object.getPrototypeOf(r.a) !== Object.prototype",
  ],
  [
    "polluted prototypes reach a result",
    "const r = await callTool('s', 't', JSON.parse('{\"__proto__\":{\"x\":1}}')); return ({}).x === 1 || r.x === 1",
  ],
  [
    "constructor of an error is the skill's",
    "try { await callTool('s', 'fail') } catch (e) { return e.constructor !== Error || e.policies.constructor !== Array }",
  ],
  [
    "getters on host values",
    "try { await callTool('s', 'fail') } catch (e) { return Object.values(Object.getOwnPropertyDescriptors(e)).some((d) => d.get || d.set) }",
  ],
  [
    "proxy as arguments sees only text",
    "let seen = false; await callTool('s', 't', new Proxy({ a: 1 }, { get(t, k) { if (k === 'postMessage') seen = true; return t[k] } })); return seen",
  ],
  ["catches the end", "try { for (let i = 0; i < 10; i++) log('x') } catch { return true } return false"],
];

test.each(NOTHING)("finds nothing: %s", async (_name, body) => {
  const [probe, neighbour] = await Promise.all([run(skill(body)), run("export default () => 'here'")]);
  expect(probe).toMatchObject({ ok: true, outputJson: "false" });
  expect(neighbour).toMatchObject({ ok: true, outputJson: '"here"' });
});

const code = (error: string): object => ({ ok: false, error: expect.objectContaining({ code: error }) });

/** Harms nobody: the probe ends as said. */
const HARMLESS: readonly (readonly [string, string, object])[] = [
  ["static import", "import 'node:fs'; export default () => 1", code("invalid_input")],
  ["import at the top, dynamic", "await import('node:fs'); export default () => 1", code("upstream_error")],
  ["endless loop", skill("for (;;);"), code("limit_exceeded")],
  ["endless loop at the top", "for (;;); export default () => 1", code("limit_exceeded")],
  [
    "endless loop that catches everything",
    skill("for (;;) { try { for (;;); } catch {} finally { continue } }"),
    code("limit_exceeded"),
  ],
  ["endless microtasks", skill("const f = () => Promise.resolve().then(f); return f()"), code("limit_exceeded")],
  ["endless generator", skill("function* g() { for (;;) yield 1 } return [...g()]"), code("limit_exceeded")],
  ["endless getter in the output", skill("return { get a() { for (;;); } }"), code("limit_exceeded")],
  ["endless toJSON", skill("return { toJSON() { for (;;); } }"), code("limit_exceeded")],
  ["endless message of an error", skill("throw { get message() { for (;;); } }"), code("limit_exceeded")],
  [
    "error whose getters throw",
    skill("throw { get message() { throw 1 }, get name() { throw 2 }, get stack() { throw 3 } }"),
    code("upstream_error"),
  ],
  ["error that is a proxy", skill("throw new Proxy({}, { get() { throw 1 } })"), code("upstream_error")],
  ["symbol as an error", skill("throw Symbol('x')"), code("upstream_error")],
  ["null as an error", skill("throw null"), code("upstream_error")],
  [
    "error with a claimed refusal",
    skill("throw { __call: '99', code: 'internal', message: 'x' }"),
    code("upstream_error"),
  ],
  ["regular-expression bomb", skill("return /^(a+)+$/.test('a'.repeat(40) + '!')"), code("limit_exceeded")],
  ["memory: arrays", skill("const a = []; for (;;) a.push(new Array(10000).fill(a))"), code("limit_exceeded")],
  ["memory: strings", skill("let s = 'x'; for (;;) s = (s + s).slice(0)"), { ok: false }],
  ["memory: typed array", skill("return new Uint8Array(2 ** 31).length"), { ok: false }],
  ["memory: big integers", skill("let n = 2n; for (;;) n *= n"), { ok: false }],
  ["memory: sparse array to text", skill("const a = []; a.length = 2 ** 32 - 1; return a.join('x')"), { ok: false }],
  [
    "memory caught and tried again",
    skill("for (;;) { try { const a = []; for (;;) a.push(new Uint8Array(1e6)) } catch {} }"),
    code("limit_exceeded"),
  ],
  ["deep recursion", skill("const f = () => f() + 1; return f()"), { ok: false }],
  ["deep recursion caught", skill("const f = () => { try { return f() + 1 } catch { return 0 } }; return f() > 0"), {}],
  ["deep value", skill("let v = {}; for (let i = 0; i < 100000; i++) v = { v }; return v"), { ok: false }],
  [
    "deep arguments",
    skill("let v = {}; for (let i = 0; i < 200; i++) v = { v }; return callTool('s', 't', v)"),
    code("limit_exceeded"),
  ],
  ["circular output", skill("const a = {}; a.a = a; return a"), code("upstream_error")],
  ["BigInt output", skill("return 1n"), code("upstream_error")],
  ["never settles", skill("return new Promise(() => {})"), code("timeout")],
  ["thenable that never settles", skill("return { then() {} }"), code("timeout")],
  ["module that exports then", "export function then() {} export default () => 1", code("timeout")],
  ["top-level await that never settles", "await new Promise(() => {}); export default () => 1", code("timeout")],
  ["flood of calls", skill("for (let i = 0; i < 1e5; i++) callTool('s', 't', {}); return 1"), code("limit_exceeded")],
  ["huge log", skill("log('x'.repeat(1e6))"), code("limit_exceeded")],
  ["flood of logs", skill("for (;;) log('')"), code("limit_exceeded")],
  ["huge output", skill("return 'x'.repeat(5e6)"), code("limit_exceeded")],
  ["huge arguments", skill("return callTool('s', 't', { a: 'x'.repeat(1e6) })"), code("limit_exceeded")],
  ["wrong arguments", skill("return callTool({ toString() { return 's' } }, 't', {})"), code("upstream_error")],
  ["arguments that are no object", skill("return callTool('s', 't', [1])"), code("upstream_error")],
  [
    "broken Promise",
    skill("Promise.prototype.then = null; Promise.resolve = null; return callTool('s', 't', {})"),
    { ok: true },
  ],
  [
    "broken JSON",
    skill("JSON.stringify = () => 'evil'; JSON.parse = null; return { a: 1 }"),
    { ok: true, outputJson: '{"a":1}' },
  ],
  [
    "broken String",
    skill("String.prototype.slice = null; globalThis.String = null; throw new Error('x')"),
    code("upstream_error"),
  ],
  [
    "setter for every key",
    skill("Object.defineProperty(Object.prototype, '1', { set() { throw 1 } }); return callTool('s', 't', {})"),
    { ok: true },
  ],
  ["frozen globals", skill("Object.freeze(Object.prototype); Object.freeze(Promise); return 1"), { ok: true }],
  ["unhandled rejections", skill("for (let i = 0; i < 1000; i++) Promise.reject(i); return 1"), { ok: true }],
  ["lone surrogates", skill("return '\\ud800'"), { ok: true }],
  ["nested code", `export default () => ${"(".repeat(20_000)}1${")".repeat(20_000)}`, code("invalid_input")],
];

test.each(HARMLESS)("harms nobody: %s", async (_name, source, expected) => {
  const [probe, neighbour] = await Promise.all([run(source), run("export default () => 'here'")]);
  expect(probe).toMatchObject(expected);
  expect(JSON.stringify(probe)).not.toMatch(/node:internal|file:\/\/|sandbox\.worker/);
  expect(neighbour).toMatchObject({ ok: true, outputJson: '"here"' });
});

test("nothing passes from one run to another", async () => {
  const leave = skill("globalThis.left = 1; Array.prototype.left = 1; Object.prototype.left = 1; return 0");
  await Promise.all(Array.from({ length: 8 }, async () => run(leave)));
  const look = skill("return globalThis.left === undefined && [].left === undefined && ({}).left === undefined");
  const results = await Promise.all(Array.from({ length: 8 }, async () => run(look)));
  for (const result of results) expect(result).toMatchObject({ ok: true, outputJson: "true" });
});

test("two runs do not draw the same random numbers", async () => {
  const draw = skill("return Math.random()");
  const results = await Promise.all(Array.from({ length: 20 }, async () => run(draw)));
  expect(new Set(results.map((result) => (result.ok ? result.outputJson : "failed"))).size).toBe(20);
});

test("the host is unharmed by all of it", () => {
  expect(sandbox.stats()).toMatchObject({ running: 0, queued: 0 });
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("left");
  expect(process.memoryUsage().rss).toBeLessThan(1024 * 1024 * 1024);
});
