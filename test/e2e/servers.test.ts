import { afterAll, beforeAll, expect, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runlayer } from "../harness/cli.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;
let upstream: RunningServer;
let open: RunningServer;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer({ authorization: "Bearer upstream-secret-token-1" });
  open = await startLegacyServer();
});

afterAll(async () => {
  await app.close();
  await upstream.close();
  await open.close();
});

const endpoint = (server: RunningServer) => ({
  transport: "streamable-http",
  url: `${server.origin}/mcp`,
  allowPrivateNetwork: true,
});

async function register(name: string, more: Record<string, unknown> = {}) {
  const reply = await app.rest("POST /servers", { name, ...endpoint(open), ...more });
  expect(reply.status).toBe(200);
  return reply.body;
}

test("registers a server, contacts it and stores what it offers", async () => {
  const credential = { type: "bearer", token: "upstream-secret-token-1" };
  const body = await register("sample", { ...endpoint(upstream), credential, groups: ["payments"] });
  expect(at(body, "discovery", "state")).toBe("ok");
  expect(at(body, "discovery", "tools", 0, "name")).toBeTypeOf("string");
  expect(at(body, "server", "version")).toBe(1);
  expect(at(body, "server", "groups")).toEqual(["payments"]);
  expect(at(body, "server", "credential", "hint")).toBe("…en-1");
  const got = await app.rest("GET /servers/sample");
  expect(at(got.body, "server", "tools", 0, "state")).toBe("approved");
  expect(at(got.body, "server", "health", "state")).toBe("ok");
  await expectEvent(app, { action: "server.create", resourceId: textAt(body, "server", "id") });
});

test("registers an endpoint that nobody answers at, and says so", async () => {
  const body = await register("nobody", { url: "http://127.0.0.1:1/mcp" });
  expect(at(body, "discovery", "state")).toBe("unreachable");
  expect(at(body, "server", "health", "state")).toBe("unreachable");
});

test("says unauthorized where the credential is not accepted", async () => {
  const body = await register("locked", { ...endpoint(upstream), credential: { type: "bearer", token: "wrong" } });
  expect(at(body, "discovery", "state")).toBe("unauthorized");
});

test.each([
  ["a name twice", { name: "twice", transport: "streamable-http", url: "https://mcp.example.com/mcp" }, "conflict"],
  [
    "a reserved name",
    { name: "skill", transport: "streamable-http", url: "https://mcp.example.com/mcp" },
    "invalid_input",
  ],
  [
    "an upper-case name",
    { name: "Big", transport: "streamable-http", url: "https://mcp.example.com/mcp" },
    "invalid_input",
  ],
  [
    "a look-alike name",
    { name: "pаypal", transport: "streamable-http", url: "https://mcp.example.com/mcp" },
    "invalid_input",
  ],
  [
    "an invisible character",
    { name: "ok-1", description: "a\u200bb", transport: "streamable-http", url: "https://a.example/mcp" },
    "invalid_input",
  ],
  [
    "10 000 characters",
    { name: "ok-2", description: "x".repeat(10_000), transport: "sse", url: "https://a.example/sse" },
    "invalid_input",
  ],
  ["a lone surrogate", { name: "ok-12", transport: "sse", url: "https://a.example/\ud800" }, "invalid_input"],
  [
    "an unknown field",
    { name: "ok-3", transport: "streamable-http", url: "https://a.example/mcp", nmae: 1 },
    "invalid_input",
  ],
  ["a wrong type", { name: "ok-4", transport: "streamable-http", url: 7 }, "invalid_input"],
  ["no address", { name: "ok-5", transport: "streamable-http" }, "invalid_input"],
  [
    "a command on HTTP",
    { name: "ok-6", transport: "streamable-http", url: "https://a.example/mcp", command: "x" },
    "invalid_input",
  ],
  [
    "a loopback address without leave",
    { name: "ok-7", transport: "streamable-http", url: "http://127.0.0.1:9/mcp" },
    "invalid_input",
  ],
  [
    "localhost in hexadecimal",
    { name: "ok-8", transport: "streamable-http", url: "http://0x7f.1/mcp" },
    "invalid_input",
  ],
  [
    "a metadata address",
    { name: "ok-9", transport: "streamable-http", url: "http://169.254.169.254/", allowPrivateNetwork: true },
    "invalid_input",
  ],
  [
    "a secret in the URL",
    { name: "ok-10", transport: "streamable-http", url: "https://a.example/mcp?api_key=1" },
    "invalid_input",
  ],
  [
    "an unknown owner",
    { name: "ok-11", transport: "streamable-http", url: "https://a.example/mcp", owner: "nobody@example.com" },
    "not_found",
  ],
])("refuses %s and changes nothing", async (_what, input, code) => {
  if (code === "conflict") await register("twice");
  const before = await app.rest("GET /servers");
  const reply = await app.rest("POST /servers", input);
  expect(reply.body["code"]).toBe(code);
  expect((await app.rest("GET /servers")).body["total"]).toBe(before.body["total"]);
});

test.each([
  ["a token of two lines", { type: "bearer", token: "sesame\nopen" }, "credential.token"],
  ["a token with the placeholder of the documents", { type: "bearer", token: "sesame…" }, "credential.token"],
  ["a header's value", { type: "header", name: "x-key", value: "sesame\u0001" }, "credential.value"],
  ["a variable's value", { type: "env", values: { KEY: "sesame\0" } }, "credential.values.KEY"],
])("%s that cannot be sent is refused on every way in, and not quoted", async (what, credential, field) => {
  const name = `unsendable-${what.length}`;
  await register(name, endpoint(upstream));
  for (const reply of [
    await app.rest("POST /servers", { name: "unsendable", ...endpoint(upstream), credential }),
    await app.rest(`PATCH /servers/${name}`, { credential, force: true }),
    await app.rest("POST /configuration", {
      configuration: { servers: [{ name, ...endpoint(upstream), credential }] },
    }),
  ]) {
    expect(reply).toMatchObject({ status: 400, body: { code: "invalid_input" } });
    expect(textAt(reply.body, "detail")).toContain(field);
    expect(JSON.stringify(reply.body)).not.toContain("sesame");
  }
});

const oauth = (tokenUrl: string) => ({
  type: "oauth-client-credentials",
  tokenUrl,
  clientId: "robot",
  clientSecret: "secret-of-a-robot",
});
const PUBLIC = { transport: "streamable-http", url: "https://mcp.example.invalid/mcp" };

test.each([
  ["a metadata service", "http://169.254.169.254/token", true],
  ["loopback without leave", "http://127.0.0.1:1/token", false],
  ["a private range without leave", "https://10.0.0.1/token", false],
  ["another protocol", "file:///etc/passwd", true],
  ["no address", "token-endpoint", true],
  ["a password in it", "https://me:word@auth.example.invalid/token", false],
  ["a secret parameter", "https://auth.example.invalid/token?api_key=1", false],
])("a token endpoint that is %s is refused, on every way in", async (what, tokenUrl, allowPrivateNetwork) => {
  const name = what.replaceAll(" ", "-");
  const credential = oauth(tokenUrl);
  const expectRefusal = (body: unknown, prefix = ""): void => {
    expect(at(body, "code")).toBe("invalid_input");
    expect(textAt(body, "detail")).toContain(`${prefix}\`credential.tokenUrl\``);
  };
  const created = await app.rest("POST /servers", { name, ...PUBLIC, allowPrivateNetwork, credential });
  expectRefusal(created.body);
  expect((await app.rest(`GET /servers/${name}`)).status).toBe(404);
  await app.rest("POST /servers", { name, ...PUBLIC, allowPrivateNetwork });
  const updated = await app.rest(`PATCH /servers/${name}`, { credential, force: true });
  expectRefusal(updated.body);
  const configuration = { servers: [{ name, credential }] };
  expectRefusal((await app.rest("POST /configuration", { configuration })).body, `server \`${name}\`: `);
  expect(at((await app.rest(`GET /servers/${name}`)).body, "server", "version")).toBe(1);
});

test("leave for private addresses is not taken back from under a token endpoint", async () => {
  await register("inner-token", { credential: oauth("http://127.0.0.1:1/token") });
  const change = { url: PUBLIC.url, credential: oauth("http://127.0.0.1:1/token"), allowPrivateNetwork: false };
  const reply = await app.rest("PATCH /servers/inner-token", { ...change, force: true });
  expect(reply.body).toMatchObject({ code: "invalid_input", details: { field: "credential.tokenUrl" } });
});

test("a dry run contacts nobody and changes nothing", async () => {
  const seen = open.seen.length;
  const reply = await app.rest("POST /servers", { name: "rehearsed", ...endpoint(open), dryRun: true });
  expect(at(reply.body, "discovery", "state")).toBe("not_contacted");
  expect(open.seen.length).toBe(seen);
  expect((await app.rest("GET /servers/rehearsed")).status).toBe(404);
});

test("a repeated creation gives the first answer, another input a conflict", async () => {
  const input = { name: "repeated", ...endpoint(open), idempotencyKey: "key-1" };
  const first = await app.rest("POST /servers", input);
  const second = await app.rest("POST /servers", input);
  expect(second.body).toEqual(first.body);
  const other = await app.rest("POST /servers", { ...input, description: "other" });
  expect(other.body["code"]).toBe("conflict");
});

test("lists by status, risk, group and text, page by page", async () => {
  await register("listed-one", { groups: ["listed"] });
  await register("listed-two", { groups: ["listed"], status: "disabled" });
  const page = await app.rest("GET /servers", { group: "listed", limit: 1 });
  expect(at(page.body, "items", 0, "name")).toBe("listed-one");
  expect(page.body["total"]).toBe(2);
  const next = await app.rest("GET /servers", { group: "listed", limit: 1, cursor: textAt(page.body, "nextCursor") });
  expect(at(next.body, "items", 0, "name")).toBe("listed-two");
  expect(next.body["nextCursor"]).toBeUndefined();
  const disabled = await app.rest("GET /servers", { status: "disabled", query: "LISTED" });
  expect(at(disabled.body, "items")).toHaveLength(1);
  expect((await app.rest("GET /servers", { cursor: "made-up" })).body["code"]).toBe("invalid_input");
  expect((await app.rest("GET /servers", { group: "no-such" })).body["code"]).toBe("not_found");
});

test("updates with versions, and clears with null", async () => {
  await register("changing", { description: "before" });
  const changed = await app.rest("PATCH /servers/changing", { description: null, expectedVersion: 1 });
  expect(at(changed.body, "server", "description")).toBeNull();
  expect(at(changed.body, "server", "version")).toBe(2);
  const stale = await app.rest("PATCH /servers/changing", { description: "again", expectedVersion: 1 });
  expect(stale.body["code"]).toBe("conflict");
  await expectEvent(app, { action: "server.update", resourceId: textAt(changed.body, "server", "id") });
});

test("`null` takes a server back to what a creation without the field gives", async () => {
  const credential = { type: "bearer", token: "upstream-secret-token-1" };
  const fields = { ...PUBLIC, credential, groups: ["cleared"], allowPrivateNetwork: true, shareable: true };
  await register("cleared", fields);
  const rule = { effect: "deny", principals: { everyone: true }, resources: { servers: ["cleared", "sample"] } };
  await app.rest("POST /policies", { name: "on-cleared", ...rule });
  const cleared = Object.fromEntries([...Object.keys(fields).slice(2), "policies"].map((field) => [field, null]));
  const { body } = await app.rest("PATCH /servers/cleared", { ...cleared, force: true });
  const expected = { credential: { type: "none" }, groups: [], allowPrivateNetwork: false, shareable: false };
  expect(at(body, "server")).toMatchObject({ ...expected, policies: [] });
  await app.rest("PATCH /servers/cleared", { credential, allowPrivateNetwork: true, force: true });
  const env = { RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey };
  const options = ["--credential", "null", "--no-allow-private-network", "--force", "--json"];
  const run = await runlayer(["servers", "update", "cleared", ...options], env);
  expect(JSON.parse(run.out)).toMatchObject({ server: { credential: { type: "none" }, allowPrivateNetwork: false } });
});

test("rotates a credential only to one that the endpoint accepts", async () => {
  const good = { type: "bearer", token: "upstream-secret-token-1" };
  await register("rotating", { ...endpoint(upstream), credential: good });
  const refused = await app.rest("PATCH /servers/rotating", { credential: { type: "bearer", token: "bad" } });
  expect([refused.status, refused.body["code"]]).toEqual([502, "upstream_error"]);
  expect(at((await app.rest("GET /servers/rotating")).body, "server", "version")).toBe(1);
  const rotated = await app.rest("PATCH /servers/rotating", { credential: good });
  expect(at(rotated.body, "rotation", "verified")).toBe(true);
  const forced = await app.rest("PATCH /servers/rotating", {
    credential: { type: "bearer", token: "bad" },
    force: true,
  });
  expect(at(forced.body, "rotation", "verified")).toBe("skipped");
});

test("a stored secret never travels to a new address", async () => {
  await register("staying", {
    ...endpoint(upstream),
    credential: { type: "bearer", token: "upstream-secret-token-1" },
  });
  const moved = await app.rest("PATCH /servers/staying", { url: `${open.origin}/mcp` });
  expect(moved.body["code"]).toBe("invalid_input");
  const together = await app.rest("PATCH /servers/staying", {
    url: `${open.origin}/mcp`,
    credential: { type: "none" },
  });
  expect(together.status).toBe(200);
});

test("deletes after confirmation only, and takes the server from its agents", async () => {
  const body = await register("leaving");
  await app.rest("POST /agents", { name: "left-behind", type: "custom", servers: ["leaving"] });
  const asked = await app.rest("DELETE /servers/leaving");
  expect([asked.status, asked.body["code"]]).toEqual([428, "confirmation_required"]);
  expect(at(asked.body, "details", "impact", "agents", 0, "name")).toBe("left-behind");
  const deleted = await app.rest("DELETE /servers/leaving", { confirm: true });
  expect(at(deleted.body, "deleted", "name")).toBe("leaving");
  expect((await app.rest("GET /servers/leaving")).body["code"]).toBe("not_found");
  expect(at((await app.rest("GET /agents/left-behind")).body, "agent", "servers")).toEqual([]);
  await expectEvent(app, { action: "server.delete", resourceId: textAt(body, "server", "id") });
});
