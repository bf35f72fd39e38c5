import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditEvent } from "../../src/domain/audit-event.ts";
import { leafHash as leafHashOf } from "../../src/domain/audit-leaf.ts";
import { post, request } from "../gateway/client.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

// Inputs that JSON can write and that are easily read in two ways.
const ECHO = `export default (input) => ({ seen: input, kind: typeof input.n, units: [...String(input.text)].length })`;
const FAR = ['{"n":1e999}', '{"n":-1e999}', '{"n":[{"deep":1e400}]}'];
const LONE = String.raw`{"text":"\ud800"}`;
const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};

let app: TestApp;
let key: string;

beforeAll(async () => {
  app = await startTestApp();
  for (const name of ["echo", "held"])
    await app.rest("POST /skills", { name, description: "Says it again", code: ECHO });
  key = textAt((await app.rest("POST /agents", { name: "odd", type: "custom" })).body, "key");
  const everyone = { principals: { everyone: true } };
  await app.rest("POST /policies", {
    name: "hold",
    effect: "require_approval",
    ...everyone,
    resources: { skills: ["held"] },
  });
  const onNull = { conditions: [{ field: "args.n", operator: "eq", value: null }], actions: ["run_skill"] };
  await app.rest("POST /policies", {
    name: "null",
    effect: "deny",
    ...everyone,
    resources: { skills: ["echo"] },
    ...onNull,
  });
});

afterAll(async () => {
  await app.close();
});

const url = (): string => `${app.url}/gateway/mcp`;

/** A call of a session, with the input as written. */
async function call(skill: string, input: string) {
  const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  const opened = await post(url(), key, request(1, "initialize", hello));
  const id = opened.headers.get("mcp-session-id") ?? "";
  const headers = { "mcp-session-id": id, "mcp-protocol-version": "2025-11-25" };
  const params = `{"name":"skill__${skill}","arguments":${input}}`;
  const body = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":${params}}`;
  return (await post(url(), key, body, { headers })).messages.at(-1);
}

/** The same of the stateless revision, which never waits for an approval. */
async function callStateless(skill: string, input: string) {
  const name = `skill__${skill}`;
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": name };
  const params = `{"name":"${name}","arguments":${input},"_meta":${JSON.stringify(META)}}`;
  const body = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":${params}}`;
  return (await post(url(), key, body, { headers })).messages.at(-1);
}

async function trial(skill: string, input: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${app.url}/api/v1/skills/${skill}/runs`, {
    method: "POST",
    headers: { authorization: `Bearer ${app.ownerKey}`, "content-type": "application/json" },
    body: `{"agent":"odd","input":${input}}`,
  });
  return { status: response.status, body: await response.json() };
}

/** Every event is there, and is what was hashed when it was written. */
async function expectWholeLog(): Promise<void> {
  const { body } = await app.rest("GET /audit-events", { limit: 200 });
  const events: readonly AuditEvent[] = Object(body).items;
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1));
  for (const { leafHash, time, ...event } of events)
    expect(leafHashOf({ ...event, time: Date.parse(String(time)) }), event.action).toBe(leafHash);
}

test.each(FAR)(
  "a number that is too large for a double is refused before anything is decided, and clearly: %s",
  async (input) => {
    for (const skill of ["echo", "held"]) {
      const before = (await app.rest("GET /audit-events", { action: "skill.run" })).body["total"];
      for (const send of [call, callStateless]) {
        const answer = await send(skill, input);
        expect(answer?.error).toMatchObject({ code: -32_602 });
        expect(answer?.error?.message).toContain("too large for a double");
      }
      const tried = await trial(skill, input);
      expect([tried.status, at(tried.body, "code")]).toEqual([400, "invalid_input"]);
      expect((await app.rest("GET /audit-events", { action: "skill.run" })).body["total"]).toBe(before);
    }
    expect((await app.rest("GET /approvals", {})).body["total"]).toBe(0);
    await expectWholeLog();
  },
);

test("half a surrogate pair reaches the skill as it was written, and the log keeps a whole text", async () => {
  for (const send of [call, callStateless])
    expect((await send("echo", LONE))?.result?.["structuredContent"]).toEqual({
      seen: { text: "\ud800" },
      kind: "undefined",
      units: 1,
    });
  expect(at((await trial("echo", LONE)).body, "code")).toBe("invalid_input");
  const { body } = await app.rest("GET /audit-events", { action: "skill.run", agent: "odd", order: "desc" });
  expect(at(body, "items", 0)).toMatchObject({ outcome: "success", details: { arguments: { text: "\ufffd" } } });
  await expectWholeLog();
});

test("an approval is for the half that was written, not for another one or its replacement", async () => {
  const approvalId = (await callStateless("held", LONE))?.error?.data?.["approvalId"];
  expect((await app.rest(`POST /approvals/${String(approvalId)}/decide`, { decision: "approve" })).status).toBe(200);
  for (const other of [String.raw`{"text":"\ud801"}`, String.raw`{"text":"\ufffd"}`])
    expect((await callStateless("held", other))?.error).toMatchObject({ code: -32_012 });
  expect((await callStateless("held", LONE))?.result?.["structuredContent"]).toMatchObject({
    seen: { text: "\ud800" },
  });
  expect((await callStateless("held", LONE))?.error).toMatchObject({ code: -32_012 });
  await expectWholeLog();
});
