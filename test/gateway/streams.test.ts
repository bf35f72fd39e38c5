import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RELATED_TASK } from "../../src/gateway/envelope/envelope.ts";
import { parseRule } from "../../src/policy/parse-policy.ts";
import { aPolicy } from "../harness/entities.ts";
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

let harness: Harness;
let upstream: TestUpstream;
let alice: AgentKey;
let bob: AgentKey;
let url: string;
/** What the next `tools/call` or GET does. */
let behave: (received: Received) => void | Promise<void>;
let isEverythingScripted = false;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => {
    const isScripted = isEverythingScripted || received.method === "GET" || received.message.method === "tools/call";
    return isScripted ? behave(received) : plainServer(received);
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  alice = await harness.addAgent("alice", [{ serverId: server.id, resources: ["file:///a/*"] }]);
  bob = await harness.addAgent("bob", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

test("streams progress event by event before the answer is there", async () => {
  const go = Promise.withResolvers<void>();
  behave = async (received) => {
    startSse(received);
    sendEvent(received, {
      jsonrpc: "2.0",
      method: "notifications/progress",
      params: { progressToken: 1, progress: 1 },
    });
    await go.promise;
    sendEvent(received, result(received, { content: [] }));
    received.response.end();
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "a")));
  expect((await stream.next())?.message).toMatchObject({ method: "notifications/progress" });
  go.resolve();
  expect((await stream.next())?.message).toEqual({ jsonrpc: "2.0", id: 1, result: { content: [] } });
  expect(await stream.next()).toBeUndefined();
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "success" });
});

test("passes a question of the server and brings its answer back, each recorded", async () => {
  const session = await openSession(alice);
  let asked: Received | undefined;
  behave = (received) => {
    asked = received;
    startSse(received);
    sendEvent(received, request("q1", "elicitation/create", { message: "sure?" }));
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "a"), session));
  expect((await stream.next())?.message).toMatchObject({ id: "q1", method: "elicitation/create" });
  const answered = await post(
    url,
    alice.key,
    { jsonrpc: "2.0", id: "q1", result: { action: "accept" } },
    { headers: session },
  );
  expect(answered.status).toBe(202);
  expect(upstream.received.at(-1)?.body).toContain("accept");
  if (asked === undefined) throw new Error("not asked");
  sendEvent(asked, result(asked, { content: [] }));
  asked.response.end();
  expect((await stream.next())?.message).toMatchObject({ id: 1 });
  expect((await harness.events("elicitation.create")).at(-1)).toMatchObject({ outcome: "success" });
});

test("lets nobody answer another agent's question", async () => {
  behave = (received) => {
    startSse(received);
    sendEvent(received, request("q2", "sampling/createMessage", {}));
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "a")));
  await stream.next();
  expect((await post(url, bob.key, { jsonrpc: "2.0", id: "q2", result: {} })).status).toBe(400);
  expect((await post(url, alice.key, { jsonrpc: "2.0", id: "q2", result: {} })).status).toBe(202);
  stream.close();
});

test("passes an answer once, and none that nobody asked for", async () => {
  const session = await openSession(alice);
  behave = (received) => {
    startSse(received);
    sendEvent(received, request("q3", "roots/list"));
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "a"), session));
  expect((await stream.next())?.message).toMatchObject({ id: "q3" });
  const answer = (id: string | null, from = session) =>
    post(url, alice.key, { jsonrpc: "2.0", id, ...(id === null ? { error: {} } : { result: {} }) }, { headers: from });
  const other = await openSession(alice);
  const before = upstream.received.length;
  expect((await answer("q3", other)).status).toBe(400);
  expect((await answer("never")).messages).toMatchObject([{ error: { code: -32600 } }]);
  expect((await answer(null)).status).toBe(400);
  expect(upstream.received.length).toBe(before);
  expect((await answer("q3")).status).toBe(202);
  expect((await answer("q3")).status).toBe(400);
  expect(upstream.received.length).toBe(before + 1);
  const refused = (await harness.events("message.refused")).filter(({ reason }) => reason === "not_asked");
  expect(refused.at(-1)).toMatchObject({ outcome: "denied", details: { kind: "answer" } });
  expect(refused.length).toBeGreaterThanOrEqual(4);
  stream.close();
});

test("sends no answer whose right was taken after the question, and tells the upstream so", async () => {
  const session = await openSession(alice);
  behave = (received) => {
    startSse(received);
    sendEvent(received, request("q4", "elicitation/create", { message: "password?" }));
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "a"), session));
  expect((await stream.next())?.message).toMatchObject({ id: "q4" });
  const rule = { principals: { everyone: true }, resources: { everything: true }, actions: ["elicit"] } as const;
  const { ast, cedar } = parseRule({ effect: "deny", ...rule });
  const policy = aPolicy({ effect: "deny", rule: { ...rule, actions: ["elicit"] }, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
  const answered = await post(
    url,
    alice.key,
    { jsonrpc: "2.0", id: "q4", result: { action: "accept", content: { password: "hunter2" } } },
    { headers: session },
  );
  await harness.store.transaction((tx) => tx.policies.delete(policy.id));
  expect(answered.status).toBe(400);
  expect(answered.messages).toMatchObject([{ error: { code: -32011, data: { policies: [{ id: policy.id }] } } }]);
  await expect
    .poll((): unknown => JSON.parse(upstream.received.at(-1)?.body ?? ""))
    .toMatchObject({ id: "q4", error: { code: -32011 } });
  expect(upstream.received.some(({ body }) => body.includes("hunter2"))).toBe(false);
  const events = (await harness.events("elicitation.create")).slice(-2);
  expect(events.map(({ outcome }) => outcome).toSorted()).toEqual(["denied", "error"]);
  expect(new Set(events.map(({ correlationId }) => correlationId)).size).toBe(1);
  stream.close();
});

test("records the end of a session that the server does not know any more, once", async () => {
  const session = await openSession(alice);
  behave = ({ response }) => void response.writeHead(404).end();
  const answers = [1, 2].map((id) => post(url, alice.key, call(id, "a"), { headers: session }));
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([404, 404]);
  const contacts = upstream.received.length;
  expect((await post(url, alice.key, call(3, "a"), { headers: session })).status).toBe(404);
  for (const method of ["GET", "DELETE"]) {
    const headers = { authorization: `Bearer ${alice.key}`, accept: "text/event-stream", ...session };
    expect((await fetch(url, { method, headers })).status).toBe(404);
  }
  expect(upstream.received).toHaveLength(contacts);
  const [ended, ...others] = await harness.events("session.end");
  const opened = (await harness.events("session.open")).at(-1);
  expect(ended).toMatchObject({ outcome: "success", details: { reason: "ended_by_server" } });
  expect([ended?.sessionId, others]).toEqual([opened?.sessionId, []]);
  expect(harness.gateway.sessions().some(({ id }) => id === ended?.sessionId)).toBe(false);
});

test("records the end of a session that its client ended, once, whatever the client sends afterwards", async () => {
  const headers = { authorization: `Bearer ${alice.key}`, ...(await openSession(alice)) };
  const endings = ["DELETE", "DELETE"].map((method) => fetch(url, { method, headers }));
  expect((await Promise.all(endings)).map(({ status }) => status)).toContain(200);
  expect((await post(url, alice.key, call(1, "a"), { headers })).status).toBe(404);
  const opened = (await harness.events("session.open")).at(-1);
  const ended = (await harness.events("session.end")).filter(({ sessionId }) => sessionId === opened?.sessionId);
  expect(ended).toMatchObject([{ details: { reason: "client" } }]);
});

test("answers an unknown question of the server in the client's stead", async () => {
  behave = (received) => {
    startSse(received);
    sendEvent(received, request(7, "shell/exec", {}));
    sendEvent(received, result(received, {}));
    received.response.end();
  };
  const answer = await post(url, alice.key, call(1, "a"));
  expect(answer.messages).toHaveLength(1);
  await expect
    .poll((): unknown => JSON.parse(upstream.received.at(-1)?.body ?? ""))
    .toMatchObject({ id: 7, error: { code: -32601 } });
});

test("drops notifications about resources that are not assigned, and unknown ones", async () => {
  behave = (received) => {
    startSse(received);
    for (const uri of ["file:///a/1", "file:///b/1"])
      sendEvent(received, { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri } });
    sendEvent(received, { jsonrpc: "2.0", method: "notifications/other" });
    received.response.end();
  };
  const stream = await openStream(url, streamInit(alice.key, undefined));
  expect(stream.status).toBe(200);
  expect((await stream.next())?.message?.params).toEqual({ uri: "file:///a/1" });
  expect(await stream.next()).toBeUndefined();
});

test("seals event ids: they resume for their agent and session, and for nobody else", async () => {
  const session = await openSession(alice);
  behave = (received) => {
    startSse(received);
    if (received.method === "GET") {
      sendEvent(received, { jsonrpc: "2.0", id: 4, result: { content: [] } }, "ev-2");
    } else received.response.write("id: ev-1\ndata: \n\n");
    received.response.end();
  };
  const stream = await openStream(url, streamInit(alice.key, call(4, "a"), session));
  const place = await stream.next();
  expect(place?.id).toMatch(/^[\w-]{20,}$/);
  expect(place?.id).not.toContain("ev-1");
  const last = { "last-event-id": place?.id ?? "" };
  expect((await openStream(url, streamInit(bob.key, undefined, last))).status).toBe(400);
  expect((await openStream(url, streamInit(alice.key, undefined, last))).status).toBe(400);
  expect(
    (await openStream(url, streamInit(alice.key, undefined, { ...session, "last-event-id": "ev-1" }))).status,
  ).toBe(400);
  const resumed = await openStream(url, streamInit(alice.key, undefined, { ...session, ...last }));
  expect(upstream.received.at(-1)?.headers["last-event-id"]).toBe("ev-1");
  expect((await resumed.next())?.message).toMatchObject({ id: 4, result: {} });
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "success" });
});

test("an answer on its own stream leaves an older call of its id waiting for the answer on a resumed one", async () => {
  const session = await openSession(alice);
  const message = call(7, "a");
  behave = (received) => {
    startSse(received);
    received.response.end("id: ev-1\ndata: \n\n");
  };
  const place = await (await openStream(url, streamInit(alice.key, message, session))).next();
  behave = (received) => {
    startSse(received);
    sendEvent(received, { jsonrpc: "2.0", id: 7, result: { content: [] } });
    received.response.end();
  };
  expect((await post(url, alice.key, message, { headers: session })).messages).toMatchObject([{ id: 7, result: {} }]);
  const last = { "last-event-id": place?.id ?? "" };
  const resumed = await openStream(url, streamInit(alice.key, undefined, { ...session, ...last }));
  expect((await resumed.next())?.message).toMatchObject({ id: 7, result: {} });
  const ends = (await harness.events("tool.call")).slice(-2).map(({ outcome }) => outcome);
  expect(ends).toEqual(["success", "success"]);
});

test("seals task ids and gives the upstream its own back", async () => {
  behave = (received) => sendJson(received, result(received, { task: { taskId: "t-1", status: "working" } }));
  const created = await post(url, alice.key, call(1, "a"));
  const task = created.messages[0]?.result?.["task"];
  const taskId = typeof task === "object" && task !== null && "taskId" in task ? String(task.taskId) : "";
  expect(taskId).not.toContain("t-1");
  await post(url, alice.key, request(2, "tasks/cancel", { taskId }));
  expect(upstream.received.at(-1)?.message.params).toEqual({ taskId: "t-1" });
  const before = upstream.received.length;
  for (const [key, id] of [
    [bob.key, taskId],
    [alice.key, "t-1"],
  ]) {
    const refused = await post(url, key, request(2, "tasks/cancel", { taskId: id }));
    expect(refused.messages[0]?.error?.code).toBe(-32602);
    const event = (await harness.events("task.cancel")).at(-1);
    expect(event).toMatchObject({ outcome: "denied", reason: "unknown_handle" });
  }
  expect(upstream.received.length).toBe(before);
});

test("tells nobody of a task that is not its own", async () => {
  behave = (received) => sendJson(received, result(received, { task: { taskId: "t-own", status: "working" } }));
  await post(url, alice.key, call(1, "a"));
  behave = (received) => {
    startSse(received);
    for (const taskId of ["t-foreign", "t-own"])
      for (const method of ["notifications/tasks/status", "notifications/tasks"])
        sendEvent(received, { jsonrpc: "2.0", method, params: { taskId, status: "working", statusMessage: taskId } });
    received.response.end();
  };
  const stream = await openStream(url, streamInit(alice.key, undefined));
  for (let count = 0; count < 2; count += 1)
    expect((await stream.next())?.message?.params).toMatchObject({ statusMessage: "t-own" });
  expect(await stream.next()).toBeUndefined();
});

test("asks nobody on behalf of a task that is not its own, and tells the server so", async () => {
  const session = await openSession(alice);
  behave = (received) => {
    startSse(received);
    const params = { message: "sure?", _meta: { [RELATED_TASK]: { taskId: "t-foreign" } } };
    sendEvent(received, { jsonrpc: "2.0", id: 9, method: "elicitation/create", params });
    sendEvent(received, result(received, { content: [] }));
    received.response.end();
  };
  const answer = await post(url, alice.key, call(5, "a"), { headers: session });
  expect(answer.messages).toHaveLength(1);
  await expect
    .poll((): unknown => JSON.parse(upstream.received.at(-1)?.body ?? ""))
    .toMatchObject({ id: 9, error: { code: -32602 } });
});

test("seals no task in an answer that is no tool's", async () => {
  behave = (received) =>
    sendJson(received, result(received, { resources: [], _meta: { [RELATED_TASK]: { taskId: "t-foreign" } } }));
  const message = request(1, "resources/read", { uri: "file:///a/1" });
  isEverythingScripted = true;
  const answer = await post(url, alice.key, message);
  isEverythingScripted = false;
  expect(answer.messages[0]?.result?.["_meta"]).toEqual({ [RELATED_TASK]: { taskId: "unknown" } });
});

test("aborts the upstream's side when the client goes away", async () => {
  const closed = Promise.withResolvers<void>();
  behave = (received) => {
    received.response.on("close", () => closed.resolve());
    startSse(received);
    received.response.write(": open\n\n");
  };
  const controller = new AbortController();
  const gone = post(url, alice.key, call(1, "a"), { signal: controller.signal }).catch(() => undefined);
  await waitFor(() => upstream.received.at(-1)?.message.method === "tools/call" && harness.gateway.liveExchanges > 0);
  await sleep(20);
  controller.abort();
  await closed.promise;
  await gone;
  await waitFor(() => harness.gateway.liveExchanges === 0);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "client_disconnected" });
});

test("makes a fast upstream wait for a slow client", async () => {
  let written = 0;
  behave = async (received) => {
    startSse(received);
    const text = "x".repeat(64 * 1024);
    for (let index = 0; index < 2000 && !received.response.destroyed; index += 1) {
      received.response.write(
        `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${text}"}}\n\n`,
      );
      written += text.length;
      while (received.response.writableNeedDrain && !received.response.destroyed) await sleep(2);
    }
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "a")));
  await sleep(500);
  expect(written).toBeLessThan(40 * 1024 * 1024);
  stream.close();
  await waitFor(() => harness.gateway.liveExchanges === 0);
});

async function openSession(agent: AgentKey): Promise<Record<string, string>> {
  const opened = await post(url, agent.key, request(crypto.randomUUID(), "initialize", {}));
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

async function waitFor(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isTrue(); tries += 1) await sleep(10);
  expect(isTrue()).toBe(true);
}
