import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startSurface, TEST_OPERATIONS, things, type SurfaceHarness } from "../../test/harness/surface.ts";

let surface: SurfaceHarness;
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  surface = await startSurface();
});
afterAll(() => surface.close());
beforeEach(() => things.clear());
afterEach(async () => {
  await Promise.allSettled(opened.splice(0).map((client) => client.close()));
});

type Answer = "accept" | "decline" | "cancel" | "accept-unchecked";
interface ClientSettings {
  readonly answer?: Answer;
  readonly secret?: string;
}

const TextOnly = z.object({ content: z.tuple([z.object({ text: z.string() })]) });

const ERAS = ["SDK v1, 2025", "SDK v2, 2025", "SDK v2, 2026-07-28"] as const;
type Era = (typeof ERAS)[number];

function settings({ secret }: ClientSettings) {
  return {
    url: new URL(`${surface.url}/mcp`),
    options: { requestInit: { headers: { authorization: `Bearer ${secret ?? surface.owner.secret}` } } },
  };
}

function toElicitResult(answer: Answer) {
  if (answer === "decline" || answer === "cancel") return { action: answer };
  return { action: "accept" as const, content: { confirm: answer === "accept" } };
}

async function connectOld(given: ClientSettings) {
  const { url, options } = settings(given);
  const capabilities = given.answer === undefined ? {} : { elicitation: {} };
  const client = new OldClient({ name: "test-old", version: "1" }, { capabilities });
  if (given.answer !== undefined) {
    const result = toElicitResult(given.answer);
    client.setRequestHandler(ElicitRequestSchema, () => result);
  }
  const transport = new OldTransport(url, options);
  await client.connect(transport);
  opened.push(client);
  return { client, transport };
}

async function connectNew(given: ClientSettings, mode: "legacy" | "modern") {
  const { url, options } = settings(given);
  const capabilities = given.answer === undefined ? {} : { elicitation: { form: {} } };
  const versionNegotiation = { mode: mode === "legacy" ? ("legacy" as const) : { pin: "2026-07-28" } };
  const client = new ModernClient({ name: "test-new", version: "1" }, { capabilities, versionNegotiation });
  if (given.answer !== undefined) {
    const result = toElicitResult(given.answer);
    client.setRequestHandler("elicitation/create", () => result);
  }
  await client.connect(new ModernTransport(url, options));
  opened.push(client);
  return { client };
}

async function connect(era: Era, given: ClientSettings = {}) {
  if (era === "SDK v1, 2025") return (await connectOld(given)).client;
  return (await connectNew(given, era === "SDK v2, 2025" ? "legacy" : "modern")).client;
}

test.each(ERAS)("%s: lists every operation with its annotations and reads one", async (era) => {
  const client = await connect(era);
  const { tools } = await client.listTools();
  expect(tools.map((tool) => tool.name)).toEqual(TEST_OPERATIONS.map((operation) => operation.name));
  const hints = Object.fromEntries(tools.map((tool) => [tool.name, tool.annotations]));
  expect(hints["delete_thing"]).toMatchObject({ readOnlyHint: false, destructiveHint: true, idempotentHint: true });
  expect(hints["list_things"]).toMatchObject({ readOnlyHint: true, destructiveHint: false });
  expect(client.getInstructions()).toContain("dryRun");
  const result = await client.callTool({ name: "get_organization" });
  expect(result.structuredContent).toMatchObject({ organization: { name: "Acme" } });
});

test.each(ERAS)("%s: answers errors as tool results with the code", async (era) => {
  const client = await connect(era);
  await client.listTools();
  const bad = await client.callTool({ name: "create_thing", arguments: { name: 7, nmae: "x" } });
  expect(bad).toMatchObject({ isError: true, structuredContent: { error: { code: "invalid_input" } } });
  const broken = await client.callTool({ name: "break_thing" });
  expect(broken).toMatchObject({ isError: true, structuredContent: { error: { code: "internal" } } });
  expect(JSON.stringify(broken)).not.toContain("secret of ours");
  const gone = await client.callTool({ name: "delete_thing", arguments: { id: "nothing", confirm: true } });
  expect(gone).toMatchObject({ isError: true, structuredContent: { error: { code: "not_found" } } });
});

test.each(ERAS)("%s: hides nothing in strings from outside, and keeps them out of the text", async (era) => {
  const client = await connect(era);
  const progress: unknown[] = [];
  const call = { name: "create_thing", arguments: { name: "one" } };
  const onprogress = (step: unknown): void => void progress.push(step);
  const result =
    client instanceof OldClient
      ? await client.callTool(call, undefined, { onprogress })
      : await client.callTool(call, { onprogress });
  expect(result.structuredContent).toMatchObject({
    thing: { note: "nice\\u{202e}tool\\u{200b}\\u{e0041} \\u{1b}[31m" },
  });
  expect(JSON.stringify(result.content)).not.toContain("nice");
  expect(progress).toEqual([expect.objectContaining({ progress: 1, total: 2 })]);
});

const outcomes: readonly (readonly [Answer | undefined, boolean])[] = [
  ["accept", true],
  ["accept-unchecked", false],
  ["decline", false],
  ["cancel", false],
  [undefined, false],
];

test.each(ERAS.flatMap((era) => outcomes.map(([answer, isDone]) => [era, answer, isDone] as const)))(
  "%s: a person who answers %s to a deletion: done is %s",
  async (era, answer, isDone) => {
    await surface.call("POST", "/things", { body: { name: "one" } });
    const client = await connect(era, answer === undefined ? {} : { answer });
    const result = await client.callTool({ name: "delete_thing", arguments: { id: "one" } });
    expect(things.has("one")).toBe(!isDone);
    if (isDone) expect(result.structuredContent).toMatchObject({ deleted: true });
    else {
      const error = { code: "confirmation_required", details: { impact: { things: 1 } } };
      expect(result).toMatchObject({ isError: true, structuredContent: { error } });
    }
  },
);

test.each(ERAS)("%s: a key that is not accepted gets no session", async (era) => {
  const agent = surface.keys.add({}, "agent");
  await expect(connect(era, { secret: agent.secret })).rejects.toThrow();
});

test.each(ERAS)("%s: a revoked key's next call fails", async (era) => {
  const { secret, key } = surface.keys.add();
  const client = await connect(era, { secret });
  await client.listTools();
  surface.keys.revoke(key);
  expect(surface.mcp.countByKey(key.id)).toBe(0);
  await expect(client.callTool({ name: "get_organization" })).rejects.toThrow();
});

test("revoking a key cuts its open stream", async () => {
  const { secret, key } = surface.keys.add();
  const headers = {
    authorization: `Bearer ${secret}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const opening = await fetch(`${surface.url}/mcp`, { method: "POST", headers, body });
  await opening.text();
  const session = {
    "mcp-session-id": opening.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25",
  };
  const stream = await fetch(`${surface.url}/mcp`, { headers: { ...headers, ...session } });
  expect(stream.status).toBe(200);
  let isOpen = true;
  const ended = stream
    .text()
    .catch(() => "cut")
    .then(() => (isOpen = false));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isOpen).toBe(true);
  surface.keys.revoke(key);
  await ended;
  expect(isOpen).toBe(false);
});

/** One 2026-07-28 request without an SDK, to send what no client would. */
async function callRaw(params: Readonly<Record<string, unknown>>) {
  const response = await fetch(`${surface.url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${surface.owner.secret}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "delete_thing",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "delete_thing",
        ...params,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } },
        },
      },
    }),
  });
  const { result } = z
    .object({ result: z.looseObject({ requestState: z.string().optional() }) })
    .parse(await response.json());
  return result;
}

test("the text says of a dry run that nothing was done, and of a repeated answer that its secret is missing", async () => {
  const client = await connect("SDK v1, 2025");
  const create = async (more: object) =>
    TextOnly.parse(await client.callTool({ name: "create_thing", arguments: { name: "one", ...more } })).content[0]
      .text;
  expect(await create({ dryRun: true })).toMatch(/^Dry run, nothing has changed\. .* created\.$/);
  expect(things.size).toBe(0);
  const first = await create({ idempotencyKey: "k" });
  expect(first).not.toMatch(/Dry run|left out/);
  expect(await create({ idempotencyKey: "k" })).toBe(`${first} The secret itself is left out of this answer.`);
});

test("an answer counts only for the question that was asked", async () => {
  await surface.call("POST", "/things", { body: { name: "one" } });
  await surface.call("POST", "/things", { body: { name: "two" } });
  const inputResponses = { confirm: { action: "accept", content: { confirm: true } } };
  const asked = await callRaw({ arguments: { id: "one" } });
  expect(asked).toMatchObject({ resultType: "input_required", requestState: expect.any(String) });
  const { requestState = "" } = asked;
  const lies = [
    { arguments: { id: "one" }, inputResponses },
    { arguments: { id: "one" }, inputResponses, requestState: `${requestState}x` },
    { arguments: { id: "two" }, inputResponses, requestState },
  ];
  for (const lie of lies) expect(await callRaw(lie)).toMatchObject({ resultType: "input_required" });
  expect(things.size).toBe(2);
  await callRaw({ arguments: { id: "one" }, inputResponses, requestState });
  expect([...things.keys()]).toEqual(["two"]);
});

test("a session belongs to its key, and ends by DELETE", async () => {
  const { transport } = await connectOld({});
  const other = surface.keys.add();
  const send = (secret: string, method: string) =>
    fetch(`${surface.url}/mcp`, {
      method,
      headers: {
        authorization: `Bearer ${secret}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-session-id": transport.sessionId ?? "",
        "mcp-protocol-version": "2025-11-25",
      },
      body: method === "POST" ? JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }) : null,
    });
  expect((await send(other.secret, "POST")).status).toBe(404);
  expect((await send(surface.owner.secret, "POST")).status).toBe(200);
  expect((await send(surface.owner.secret, "DELETE")).status).toBe(200);
  expect((await send(surface.owner.secret, "POST")).status).toBe(404);
});

test.each([
  ["malformed JSON", "{", 400],
  ["a batch", "[]", 400],
  ["a duplicate member", '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}', 400],
  ["an oversized body", `{"a":"${"x".repeat(1_100_000)}"}`, 413],
  ["no session", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', 400],
])("refuses %s", async (_name, body, status) => {
  const response = await fetch(`${surface.url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${surface.owner.secret}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body,
  });
  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({ jsonrpc: "2.0", error: { message: expect.any(String) } });
});

test("asks for a key with a plain challenge", async () => {
  const response = await fetch(`${surface.url}/mcp`, { method: "POST", body: "{}" });
  expect(response.status).toBe(401);
  expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
});
