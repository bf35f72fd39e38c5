import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import type { AuditEvent } from "../../src/domain/audit-event.ts";
import type { Server } from "../../src/domain/server.ts";
import { AppError } from "../../src/lib/errors.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import {
  plainServer,
  result,
  sendEvent,
  sendJson,
  startSse,
  startUpstream,
  type Received,
  type TestUpstream,
} from "./upstream.ts";

const ANSWER_BYTES_MAX = 1024 * 1024;

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
let behave: (received: Received) => void | Promise<void>;
let server: Server;
let isDiskFull = false;
/** The log knows by itself that it cannot be written. */
let isKnownFull = false;
let hasStaged = false;
let stageDelayMs = 0;
/** A mistake of ours in the middle of an answer. */
let isObserverBroken = false;

beforeAll(async () => {
  harness = await startHarness({
    headersTimeoutMs: 1000,
    limits: { answerBytesMax: ANSWER_BYTES_MAX, heldBytesMax: 4 * ANSWER_BYTES_MAX, stalledClientMs: 500 },
    wrapAudit: failingWhenFull,
    observer: {
      toolsListed: () => {
        if (isObserverBroken) throw new Error("planted");
      },
      health: () => undefined,
      keyUsed: () => undefined,
      keyDenied: () => undefined,
    },
  });
  upstream = await startUpstream((received) => behave(received));
  server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  const dead = await harness.addServer({ name: "dead", url: "http://127.0.0.1:9/mcp" });
  agent = await harness.addAgent("a", [{ serverId: server.id }, { serverId: dead.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

const faults: readonly (readonly [string, (received: Received) => void | Promise<void>, number, string])[] = [
  ["hangs", () => undefined, 504, "upstream_timeout"],
  ["resets before its head", ({ response }) => void response.socket?.resetAndDestroy(), 502, "upstream_unreachable"],
  [
    "resets mid-answer",
    ({ response }) => {
      response.socket?.write(`${HEAD}content-length: 1000\r\n\r\n{"jsonrpc"`);
      setTimeout(() => response.socket?.resetAndDestroy(), 20);
    },
    502,
    "upstream_reset",
  ],
  [
    "resets mid-stream",
    (received) => {
      startSse(received);
      received.response.write(": hello\n\n");
      setTimeout(() => received.response.socket?.resetAndDestroy(), 60);
    },
    200,
    "upstream_reset",
  ],
  [
    "ends its stream without an answer",
    (received) => {
      startSse(received);
      received.response.end();
    },
    200,
    "upstream_reset",
  ],
  ["answers invalid JSON", (received) => sendJson(received, '{"jsonrpc":'), 502, "upstream_refused"],
  [
    "answers invalid UTF-8",
    ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(Buffer.from([0x7b, 0xff, 0x7d]));
    },
    502,
    "upstream_refused",
  ],
  [
    "streams invalid JSON",
    (received) => {
      startSse(received);
      received.response.end("data: {nonsense\n\n");
    },
    200,
    "upstream_refused",
  ],
  [
    "answers another id",
    (received) => sendJson(received, { jsonrpc: "2.0", id: "other", result: {} }),
    502,
    "upstream_refused",
  ],
  [
    "answers only other ids on its stream",
    (received) => {
      startSse(received);
      sendEvent(received, { jsonrpc: "2.0", id: "other", result: { secret: 1 } });
      received.response.end();
    },
    200,
    "upstream_reset",
  ],
  [
    "announces 100 MB",
    ({ response }) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 100 * 1024 * 1024 });
      response.write("{");
    },
    502,
    "upstream_refused",
  ],
  ["sends 100 MB", (received) => flood(received, "application/json", " ".repeat(65_536)), 502, "upstream_refused"],
  [
    "sends one event without end",
    (received) => flood(received, "text/event-stream", `data: ${"x".repeat(65_530)}`),
    200,
    "upstream_refused",
  ],
  [
    "redirects",
    ({ response }) => void response.writeHead(302, { location: "http://evil.example/" }).end(),
    502,
    "upstream_refused",
  ],
  [
    "answers 401 with a challenge",
    ({ response }) => void response.writeHead(401, { "www-authenticate": "Bearer realm=x" }).end(),
    502,
    "upstream_credential",
  ],
  [
    "answers 500 with a page",
    ({ response }) => void response.writeHead(500, { "content-type": "text/html" }).end("<h1>secret</h1>"),
    502,
    "upstream_refused",
  ],
  ["answers nothing with 202", ({ response }) => void response.writeHead(202).end(), 502, "upstream_refused"],
  [
    "uses a content encoding",
    ({ response }) =>
      void response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end("x"),
    502,
    "upstream_refused",
  ],
];

test.each(faults)(
  "when the upstream %s, the client gets one clear error, the log the reason, and the next call works",
  async (...[, fault, status, reason]) => {
    behave = fault;
    const answer = await post(url, agent.key, call("f", "a"));
    expect(answer.status).toBe(status);
    expect(answer.messages.at(-1)).toMatchObject({ id: "f", error: { code: -32603, message: /^server `s` / } });
    expect(answer.messages).toHaveLength(1);
    for (const leak of ["evil.example", "secret", "realm"]) expect(answer.text).not.toContain(leak);
    for (const name of ["location", "www-authenticate"]) expect(answer.headers.get(name)).toBeNull();
    expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason });
    behave = plainServer;
    expect((await post(url, agent.key, call("n", "a"))).messages).toMatchObject([{ id: "n", result: {} }]);
  },
);

test.each([
  ["tools/list", '{"tools":[{"name":"a","name":"b"}]}', "tool.list"],
  ["tools/call", '{"content":[],"tasks":[{"taskId":"t-1","taskId":"t-2"}]}', "tool.call"],
  ["tools/list", `{"tools":[${"0,".repeat(100_000)}0]}`, "tool.list"],
  ["tools/call", `{"content":[],"tasks":[${"0,".repeat(100_000)}0]}`, "tool.call"],
  ["tools/call", `{${Array.from({ length: 100_001 }, (_, index) => `"${index.toString(36)}":0`).join()}}`, "tool.call"],
])(
  "refuses an answer to `%s` with an entry that can be read in two ways, or with too many",
  async (method, answer, event) => {
    for (const isStream of [false, true]) {
      behave = (received) => {
        const text = `{"jsonrpc":"2.0","id":"two","result":${answer}}`;
        if (!isStream) return sendJson(received, text);
        startSse(received);
        received.response.end(`data: ${text}\n\n`);
      };
      const refused = await post(url, agent.key, request("two", method, { name: "a" }));
      expect(refused.messages).toMatchObject([{ id: "two", error: { code: -32603, message: /^server `s` / } }]);
      if (!isStream) expect(refused.status).toBe(502);
      expect((await harness.events(event)).at(-1)).toMatchObject({ outcome: "error", reason: "upstream_refused" });
    }
  },
);

test("ends one connection over a mistake of its own, and goes on", async () => {
  behave = (received) => sendJson(received, result(received, { tools: [{ name: "new", inputSchema: {} }] }));
  isObserverBroken = true;
  await expect(post(url, agent.key, request(1, "tools/list"))).rejects.toThrow();
  isObserverBroken = false;
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  expect((await harness.events("tool.list")).at(-1)).toMatchObject({ outcome: "error", reason: "internal" });
  behave = plainServer;
  expect((await post(url, agent.key, call(2, "a"))).status).toBe(200);
});

test("lets nothing that waited for the record leave before the error that ended its call", async () => {
  await harness.setSettings({ auditDurability: "before-answer" });
  stageDelayMs = 300;
  behave = async (received) => {
    startSse(received);
    sendEvent(received, { jsonrpc: "2.0", method: "notifications/message", params: { data: "early" } });
    await sleep(50);
    received.response.end(`data: ${"x".repeat(2 * ANSWER_BYTES_MAX)}`);
  };
  const answer = await post(url, agent.key, call("late", "a"));
  stageDelayMs = 0;
  await harness.setSettings({ auditDurability: "before-dispatch" });
  expect(answer.messages).toMatchObject([{ id: "late", error: { code: -32603 } }]);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "upstream_refused" });
});

test("says that an upstream refuses connections", async () => {
  const answer = await post(`${harness.url}/gateway/dead/mcp`, agent.key, call(1, "a"));
  expect(answer.status).toBe(502);
  expect(answer.messages[0]?.error?.message).toContain("cannot be reached");
});

test("passes an error of the server with its status and words", async () => {
  const error = { code: -32602, message: "no such thing", data: { a: 1 } };
  behave = (received) => sendJson(received, { jsonrpc: "2.0", id: received.message.id, error }, { status: 400 });
  const answer = await post(url, agent.key, call(1, "a"));
  expect([answer.status, answer.messages[0]?.error]).toEqual([400, error]);
  behave = (received) => sendJson(received, { jsonrpc: "2.0", id: received.message.id, error });
  expect((await post(url, agent.key, call(1, "a"))).messages[0]?.error).toEqual(error);
});

test("works again after the upstream restarted", async () => {
  const first = await startUpstream(plainServer);
  const server = await harness.addServer({ name: "restarted", url: `${first.url}/mcp` });
  const other = await harness.addAgent("b", [{ serverId: server.id }]);
  const there = `${harness.url}/gateway/restarted/mcp`;
  expect((await post(there, other.key, call(1, "a"))).status).toBe(200);
  await first.close();
  expect((await post(there, other.key, call(2, "a"))).status).toBe(502);
  const second = await startUpstream(plainServer, Number(new URL(first.url).port));
  expect((await post(there, other.key, call(3, "a"))).status).toBe(200);
  await second.close();
});

test("keeps an endless stream in bounded memory and ends it with its client", async () => {
  behave = async (received) => {
    startSse(received);
    while (!received.response.destroyed) {
      sendEvent(received, { jsonrpc: "2.0", method: "notifications/message", params: { data: "x".repeat(10_000) } });
      await sleep(1);
    }
  };
  const before = process.memoryUsage.rss();
  const stream = await openStream(url, streamInit(agent.key, call(1, "a")));
  for (let index = 0; index < 300; index += 1) expect(await stream.next()).toBeDefined();
  stream.close();
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  expect(process.memoryUsage.rss() - before).toBeLessThan(150 * 1024 * 1024);
});

test("cuts off a client that never reads", async () => {
  let written = 0;
  const done = Promise.withResolvers<void>();
  behave = async (received) => {
    startSse(received);
    received.response.on("close", () => done.resolve());
    while (!received.response.destroyed) {
      sendEvent(received, { jsonrpc: "2.0", method: "notifications/message", params: { data: "x".repeat(60_000) } });
      written += 60_000;
      while (received.response.writableNeedDrain && !received.response.destroyed) await sleep(2);
      await sleep(0);
    }
  };
  const socket = rawRequest(call(1, "a"));
  socket.pause();
  await done.promise;
  expect(written).toBeLessThan(60 * 1024 * 1024);
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  socket.destroy();
});

test("survives clients that break off in every place", async () => {
  behave = plainServer;
  const message = rawBytes(call(1, "read"));
  for (let cut = 1; cut < message.length; cut += 23) {
    const { hostname, port } = new URL(harness.url);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve) => socket.write(message.slice(0, cut), resolve));
    socket.destroy();
  }
  expect((await post(url, agent.key, call(1, "a"))).status).toBe(200);
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
});

test("answers a flood of calls, and a flood of wrong keys stays small in the log", async () => {
  behave = plainServer;
  const calls = Array.from({ length: 300 }, async (_, id) => (await post(url, agent.key, call(id, "a"))).status);
  expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
  const before = (await harness.events("auth.failure")).length;
  await Promise.all(Array.from({ length: 300 }, () => post(url, "rl_agent_wrong", request(1, "ping"))));
  expect((await harness.events("auth.failure")).length - before).toBeLessThanOrEqual(1);
});

test.each(["before-dispatch", "before-answer"] as const)(
  "refuses with 503 and -32013 while the log cannot be written (%s)",
  async (auditDurability) => {
    behave = plainServer;
    await harness.setSettings({ auditDurability });
    isDiskFull = true;
    try {
      for (const message of [call("full", "a"), request("full", "tools/list")]) {
        const answer = await post(url, agent.key, message);
        expect([answer.status, answer.messages[0]?.id, answer.messages[0]?.error?.code]).toEqual([503, "full", -32013]);
        expect(answer.text).not.toContain("result");
      }
      const refused = await post(url, agent.key, request("p", "unknown/method"));
      expect([refused.status, refused.messages[0]?.id]).toEqual([503, "p"]);
    } finally {
      isDiskFull = false;
    }
    expect((await post(url, agent.key, call(1, "a"))).status).toBe(200);
  },
);

test.each([
  ["before-dispatch", 0, undefined],
  ["before-answer", 1, { type: "runlayer.unrecorded", wasSent: true }],
] as const)("says whether a call that cannot be recorded was sent (%s)", async (auditDurability, sent, data) => {
  behave = plainServer;
  await harness.setSettings({ auditDurability });
  const before = upstream.received.length;
  isDiskFull = true;
  const { status, messages } = await post(url, agent.key, call("said", "a"));
  isDiskFull = false;
  expect([status, upstream.received.length - before]).toEqual([503, sent]);
  expect(messages).toMatchObject([{ id: "said", error: { code: -32013, ...(data === undefined ? {} : { data }) } }]);
  const { error } = messages[0] ?? {};
  expect([error?.data === undefined, error?.message.includes("its effect is unknown")]).toEqual([
    sent === 0,
    sent === 1,
  ]);
});

test("sends nothing with before-answer durability once the log is known to be unable", async () => {
  let sent = 0;
  behave = (received) => {
    sent += 1;
    plainServer(received);
  };
  await harness.setSettings({ auditDurability: "before-answer" });
  isKnownFull = true;
  try {
    const answer = await post(url, agent.key, call("known", "a"));
    expect([answer.status, answer.messages[0]?.error?.code, sent]).toEqual([503, -32013, 0]);
  } finally {
    isKnownFull = false;
  }
  expect([(await post(url, agent.key, call(1, "a"))).status, sent]).toEqual([200, 1]);
});

test("tells of a failed upstream only when the decision is on the disk", async () => {
  behave = ({ response }) => void response.socket?.resetAndDestroy();
  await harness.setSettings({ auditDurability: "before-answer" });
  stageDelayMs = 200;
  hasStaged = false;
  const answer = await post(url, agent.key, call("fails", "a"));
  expect([answer.status, hasStaged]).toEqual([502, true]);
  stageDelayMs = 0;
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({
    outcome: "error",
    reason: "upstream_unreachable",
  });
});

test("refuses with -32013 what a stream asks while the log cannot be written", async () => {
  behave = (received) => {
    isDiskFull = true;
    startSse(received);
    sendEvent(received, request("q", "elicitation/create", { message: "?", requestedSchema: { type: "object" } }));
  };
  try {
    const answer = await post(url, agent.key, call("asks", "a"));
    expect(answer.messages.at(-1)).toMatchObject({ id: "asks", error: { code: -32013 } });
  } finally {
    isDiskFull = false;
    behave = plainServer;
  }
});

test("gives one event to a call whose client goes while its decision is on the way to the disk", async () => {
  await harness.setSettings({ auditDurability: "before-dispatch" });
  stageDelayMs = 200;
  const controller = new AbortController();
  const gone = post(url, agent.key, call("gone", "a"), { signal: controller.signal }).catch(() => undefined);
  await expect.poll(() => harness.gateway.liveExchanges).toBe(1);
  controller.abort();
  await gone;
  stageDelayMs = 0;
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  await sleep(300);
  expect(harness.audit.openDecisions).toBe(0);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "client_disconnected" });
});

test.each([
  ["its client goes", "client_disconnected", undefined],
  ["its agent is deleted", "unauthenticated", 401],
] as const)(
  "gives one event to a call that leaves before it is recorded, where %s meanwhile",
  async (_, reason, status) => {
    await harness.setSettings({ auditDurability: "before-answer" });
    const leaver = await harness.addAgent(`leaver-${reason.length}`, [{ serverId: server.id }]);
    const controller = new AbortController();
    const lose = (): Promise<void> => harness.store.transaction((tx) => tx.agents.delete(leaver.agent.id));
    behave = () => (reason === "client_disconnected" ? controller.abort() : void lose());
    const own = async () =>
      (await harness.events("tool.call")).filter(({ actor }) => actor.id === leaver.agent.id).map(toOutcome);
    stageDelayMs = 50;
    const answer = await post(url, leaver.key, call("gone", "a"), { signal: controller.signal }).catch(() => undefined);
    expect(answer?.status).toBe(status);
    await expect.poll(own).toEqual([`error ${reason}`]);
    stageDelayMs = 0;
    behave = plainServer;
    expect([harness.gateway.liveExchanges, harness.audit.openDecisions]).toEqual([0, 0]);
  },
);

test("tells the client at once of an answer that asks for too many things", async () => {
  const inputRequests = Object.fromEntries(Array.from({ length: 100_001 }, (_, index) => [index, 0]));
  behave = (received) => sendJson(received, result(received, { content: [], inputRequests }));
  const { status } = await post(url, agent.key, call(1, "a"));
  expect(status).toBe(502);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "upstream_refused" });
  behave = plainServer;
  expect([harness.gateway.liveExchanges, harness.audit.openDecisions]).toEqual([0, 0]);
});

test("lets a call finish and ends a standing stream when it drains", async () => {
  behave = (received) => {
    if (received.method === "GET") startSse(received);
    else setTimeout(() => plainServer(received), 150);
    if (received.method === "GET") received.response.flushHeaders();
  };
  const stream = await openStream(url, streamInit(agent.key, undefined));
  const running = post(url, agent.key, call(1, "a"));
  await expect.poll(() => harness.gateway.liveExchanges).toBe(2);
  const drained = harness.gateway.drain(5000);
  expect(await stream.next()).toBeUndefined();
  expect((await running).status).toBe(200);
  await drained;
  expect(harness.gateway.liveExchanges).toBe(0);
});

function toOutcome({ outcome, reason }: AuditEvent): string {
  return `${outcome} ${reason}`;
}

/** As when the disk is full: what has to be durable is not, and says so. */
function failingWhenFull(log: AuditLog): AuditLog {
  const refuse = (): Promise<void> => Promise.reject(new AppError("unavailable", "the audit log cannot be written"));
  return {
    stage: async (decision, lingerMs) => {
      if (isDiskFull) return refuse();
      await sleep(stageDelayMs);
      await log.stage(decision, lingerMs);
      hasStaged = true;
    },
    hurry: () => log.hurry(),
    refuseIfUnable: () => {
      if (isKnownFull) throw new AppError("unavailable", "the audit log cannot be written");
      log.refuseIfUnable();
    },
    settle: (id, settlement) => log.settle(id, settlement),
    record: (event) => (isDiskFull ? refuse() : log.record(event)),
    post: (event) => log.post(event),
    flush: () => log.flush(),
    close: () => log.close(),
    get depth() {
      return log.depth;
    },
    get openDecisions() {
      return log.openDecisions;
    },
    get isHealthy() {
      return !isDiskFull && log.isHealthy;
    },
  };
}

async function flood({ response }: Received, type: string, piece: string): Promise<void> {
  response.writeHead(200, { "content-type": type });
  for (let sent = 0; sent < 100 * 1024 * 1024 && !response.destroyed; sent += piece.length) {
    response.write(piece);
    while (response.writableNeedDrain && !response.destroyed) await sleep(1);
  }
  response.end();
}

function rawBytes(message: object): string {
  const body = JSON.stringify(message);
  const head = [
    "POST /gateway/s/mcp HTTP/1.1",
    "host: x",
    `authorization: Bearer ${agent.key}`,
    "content-type: application/json",
    "accept: application/json, text/event-stream",
    `content-length: ${body.length}`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

function rawRequest(message: object): Socket {
  const { hostname, port } = new URL(harness.url);
  const socket = connect(Number(port), hostname);
  socket.write(rawBytes(message));
  return socket;
}

test("an upstream cannot speak with the gateway's own codes", async () => {
  const error = (received: Received, code: number) => ({
    jsonrpc: "2.0",
    id: received.message.id,
    error: { code, message: "not by policy", data: { approvalId: "forged" } },
  });
  for (const code of [-32011, -32012, -32013]) {
    behave = (received) => sendJson(received, error(received, code));
    const [plain] = (await post(url, agent.key, call(1, "read_file"))).messages;
    const recorded = (await harness.events("tool.call")).at(-1);
    expect(recorded).toMatchObject({ outcome: "error", reason: "rpc_error", details: { errorCode: code } });
    behave = (received) => {
      startSse(received);
      sendEvent(received, error(received, code));
      received.response.end();
    };
    const [event] = (await post(url, agent.key, call(2, "read_file"))).messages;
    behave = (received) => sendJson(received, error(received, code), { status: 400 });
    const [refused] = (await post(url, agent.key, call(3, "read_file"))).messages;
    for (const answer of [plain, event, refused])
      expect(answer?.error).toMatchObject({ code: -32603, message: "not by policy" });
  }
});

test.each([200, 400, 503])("an upstream cannot give reasons in the gateway's name (HTTP %i)", async (status) => {
  const told = async (data: string) => {
    const error = `{"code":-32000,"message":"no","data":${data}}`;
    behave = (received) =>
      sendJson(received, `{"jsonrpc":"2.0","id":${received.message.id},"error":${error}}`, { status });
    return (await post(url, agent.key, call(1, "read_file"))).messages[0]?.error;
  };
  const bare = { code: -32000, message: "no", data: null };
  expect(await told('{"type":"runlayer.denied","policies":[]}')).toEqual(bare);
  // As a client reads it: escapes are undone, the last of two names counts, and some pass over case.
  expect(await told('{"type":"\\u0072unlayer.denied"}')).toEqual(bare);
  expect(await told('{"type":"x","type":"runlayer.denied"}')).toEqual(bare);
  expect(await told('{"Type":"runlayer.denied"}')).toEqual(bare);
  expect(await told('{"type":"other","of":"runlayer.denied"}')).toMatchObject({ data: { type: "other" } });
});
