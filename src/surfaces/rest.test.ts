import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startSurface, things, type SurfaceHarness } from "../../test/harness/surface.ts";

let surface: SurfaceHarness;
beforeAll(async () => {
  surface = await startSurface();
});
afterAll(() => surface.close());
beforeEach(() => things.clear());

test("answers the real operation with its output alone", async () => {
  const { status, body, headers } = await surface.call("GET", "/organization");
  expect(status).toBe(200);
  expect(body).toMatchObject({ organization: { name: "Acme" }, inventory: { members: 0 } });
  expect(headers.get("x-correlation-id")).toMatch(/^[0-9a-f-]{36}$/);
});

test("reads numbers, booleans, repeated fields and objects from the query string", async () => {
  const query = "limit=5&isNew=true&action=a&action=b&tags=1&where=%7B%22size%22%3A2%7D";
  const { body } = await surface.call("GET", `/things?${query}`);
  expect(body).toMatchObject({ seen: { limit: 5, isNew: true, action: ["a", "b"], tags: ["1"], where: { size: 2 } } });
  expect((await surface.call("GET", "/things?owner=null")).body).toMatchObject({ seen: { owner: null } });
  expect((await surface.call("GET", "/things?owner=me")).body).toMatchObject({ seen: { owner: "me" } });
  expect((await surface.call("GET", "/things?action=a")).body).toMatchObject({ seen: { action: "a" } });
});

test("creates, refuses a second one, rehearses, and gives a secret once", async () => {
  const input = { name: "one", idempotencyKey: "k1" };
  const first = await surface.call("POST", "/things", { body: input });
  expect(first.body).toHaveProperty("secret");
  const again = await surface.call("POST", "/things", { body: input });
  expect(again.body).toMatchObject({ secretOmitted: true });
  expect(again.body).not.toHaveProperty("secret");
  expect((await surface.call("POST", "/things", { body: { name: "one" } })).body).toMatchObject({
    code: "conflict",
    status: 409,
  });
  await surface.call("POST", "/things", { body: { name: "two", dryRun: true } });
  expect([...things.keys()]).toEqual(["one"]);
});

test("asks for confirmation with the impact, and deletes with it, from query or body", async () => {
  await surface.call("POST", "/things", { body: { name: "one" } });
  const refused = await surface.call("DELETE", "/things/one");
  expect(refused).toMatchObject({
    status: 428,
    body: { code: "confirmation_required", details: { impact: { things: 1 } } },
  });
  expect(things.size).toBe(1);
  expect((await surface.call("DELETE", "/things/one?confirm=true")).status).toBe(200);
  await surface.call("POST", "/things", { body: { name: "one" } });
  expect((await surface.call("DELETE", "/things/one", { body: { confirm: true } })).status).toBe(200);
  expect((await surface.call("DELETE", "/things/one", { body: { confirm: true } })).body).toMatchObject({
    code: "not_found",
  });
});

test.each([
  ["malformed JSON", "POST", "/things", { raw: "{" }, "invalid_input"],
  ["a duplicate member", "POST", "/things", { raw: '{"name":"a","n\\u0061me":"b"}' }, "invalid_input"],
  ["deep nesting", "POST", "/things", { raw: `{"name":${"[".repeat(100)}${"]".repeat(100)}}` }, "invalid_input"],
  ["an array", "POST", "/things", { raw: "[]" }, "invalid_input"],
  ["a byte-order mark", "POST", "/things", { raw: '\ufeff{"name":"a"}' }, "invalid_input"],
  ["another media type", "POST", "/things", { raw: "{}", headers: { "content-type": "text/plain" } }, "invalid_input"],
  ["a content encoding", "POST", "/things", { raw: "{}", headers: { "content-encoding": "gzip" } }, "invalid_input"],
  ["an unknown field", "POST", "/things", { body: { name: "a", nmae: 1 } }, "invalid_input"],
  ["__proto__", "POST", "/things", { raw: '{"name":"a","__proto__":{"x":1}}' }, "invalid_input"],
  ["a wrong type", "POST", "/things", { body: { name: 7 } }, "invalid_input"],
  ["a long text", "POST", "/things", { body: { name: "a", note: "x".repeat(10_000) } }, "invalid_input"],
  ["a look-alike name", "POST", "/things", { body: { name: "аdmin" } }, "invalid_input"],
  ["an invisible character", "POST", "/things", { body: { name: "a", note: "a\u200bb" } }, "invalid_input"],
  ["an oversized body", "POST", "/things", { body: { name: "a", note: "x".repeat(1_100_000) } }, "payload_too_large"],
  ["a query string beside a body", "POST", "/things?name=a", { body: {} }, "invalid_input"],
  ["a number that is none", "GET", "/things?limit=ten", {}, "invalid_input"],
  ["a boolean that is none", "GET", "/things?isNew=yes", {}, "invalid_input"],
  ["an enum value that is none", "GET", "/things?status=gone", {}, "invalid_input"],
  ["a repeated single field", "GET", "/things?limit=1&limit=2", {}, "invalid_input"],
  ["an unknown query field", "GET", "/things?toString=1", {}, "invalid_input"],
  ["a field in path and query", "DELETE", "/things/one?id=two", {}, "invalid_input"],
  ["a ref with a space", "DELETE", "/things/o%20ne?confirm=true", {}, "invalid_input"],
  ["an unknown route", "GET", "/nothing", {}, "not_found"],
])("refuses %s and changes nothing", async (...[, method, path, options, code]) => {
  const { status, body, headers } = await surface.call(method, path, options);
  expect(body).toMatchObject({ code, status });
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(things.size).toBe(0);
});

test("answers 405 with what a route takes", async () => {
  const { status, headers } = await surface.call("PUT", "/things");
  expect(status).toBe(405);
  expect(headers.get("allow")).toBe("GET, POST");
});

test("keeps the words of an unforeseen error to the log", async () => {
  const { status, body } = await surface.call("GET", "/broken");
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain("secret of ours");
  expect(surface.reported).toHaveLength(1);
});

test("refuses missing, garbled, expired, revoked and other-kind keys alike, with a challenge", async () => {
  const agent = surface.keys.add({}, "agent");
  const expired = surface.keys.add({ expiresAt: 1 });
  const elsewhere = surface.keys.add({ allowedIps: ["192.0.2.0/24"] });
  const revoked = surface.keys.add();
  surface.keys.revoke(revoked.key);
  const secrets = [
    agent.secret,
    expired.secret,
    elsewhere.secret,
    revoked.secret,
    `${surface.owner.secret.slice(0, -1)}0`,
    "x",
  ];
  const answers = await Promise.all(
    secrets.map((secret) => surface.call("GET", "/organization", { headers: { authorization: `Bearer ${secret}` } })),
  );
  for (const { status, headers } of answers) {
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toMatch(/^Bearer/);
  }
  expect(new Set(answers.map(({ body }) => body["detail"])).size).toBe(1);
  expect((await fetch(`${surface.url}/api/v1/organization`)).status).toBe(401);
});

test("refuses a role that may not", async () => {
  const auditor = surface.keys.add({ role: "auditor" });
  const headers = { authorization: `Bearer ${auditor.secret}` };
  expect((await surface.call("POST", "/things", { body: { name: "a" }, headers })).body).toMatchObject({
    code: "forbidden",
  });
  expect((await surface.call("GET", "/things", { headers })).status).toBe(200);
});

test("refuses a foreign Host and Origin on every path", async () => {
  for (const path of ["/api/v1/openapi.json", "/mcp", "/nothing"]) {
    expect(await statusOf(path, { host: "evil.example" })).toBe(403);
    expect(await statusOf(path, { origin: "https://evil.example" })).toBe(403);
    expect(await statusOf(path, { origin: "null" })).toBe(403);
  }
  expect(await statusOf("/api/v1/openapi.json", { host: "localhost:1", origin: "http://localhost:5173" })).toBe(200);
  expect(await statusOf("/api/v1/openapi.json", { host: "runlayer.example.com" })).toBe(200);
  expect(await statusOf("/api/v1/openapi.json", { host: "evil.example", "x-forwarded-host": "localhost" })).toBe(403);
});

test("believes X-Forwarded-For from a trusted proxy only, and from its end", async () => {
  const { secret } = surface.keys.add({ allowedIps: ["203.0.113.7"] });
  const authorization = `Bearer ${secret}`;
  const lie = { authorization, "x-forwarded-for": "203.0.113.7" };
  expect((await surface.call("GET", "/organization", { headers: lie })).status).toBe(401);
  const proxied = await startSurface({ trustedProxies: ["127.0.0.0/8"] });
  try {
    const client = proxied.keys.add({ allowedIps: ["203.0.113.7"] });
    const ask = (forwardedFor: string) =>
      proxied.call("GET", "/organization", {
        headers: { authorization: `Bearer ${client.secret}`, "x-forwarded-for": forwardedFor },
      });
    expect((await ask("203.0.113.7")).status).toBe(200);
    expect((await ask("198.51.100.1, 203.0.113.7, 127.0.0.2")).status).toBe(200);
    expect((await ask("203.0.113.7, 198.51.100.1")).status).toBe(401);
    expect((await ask("203.0.113.7, garbage")).status).toBe(401);
  } finally {
    await proxied.close();
  }
});

function statusOf(path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${surface.url}${path}`, { headers, setHost: !("host" in headers) }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("error", reject).end();
  });
}
