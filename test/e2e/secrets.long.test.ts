import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, post, request } from "../gateway/client.ts";
import { plainServer, sendJson, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/** What no file, log line, answer or event may show, by where it came in. */
const planted = new Map<string, string>();

/** Looks like nothing in particular, so that only knowing that it is secret can hide it. */
function plant(where: string, secret: string = randomBytes(15).toString("hex")): string {
  planted.set(where, secret);
  return secret;
}

/** Looks like a key of a known issuer: what may be recognized where nothing says that a text is secret. */
function plantKey(where: string): string {
  return plant(where, `ghp_${randomBytes(20).toString("hex").slice(0, 36)}`);
}

let app: TestApp;
let place: StdioPlace;
let upstream: TestUpstream;
/** Every answer but those that hand out a secret on purpose. */
const answers: string[] = [];

beforeAll(async () => {
  place = makeStdioPlace();
  upstream = await startUpstream((received) => {
    const { url, headers, body } = received;
    if (url === "/token") return sendJson(received, { access_token: plantOnce("access token"), token_type: "Bearer" });
    // The far end repeats what it was given, in every way in which it can fail.
    if (url === "/refuses") return sendJson(received, { error: headers.authorization }, { status: 401 });
    if (url === "/refuses-token")
      return sendJson(received, { error: "invalid_client", error_description: body }, { status: 401 });
    if (url === "/fails") return sendJson(received, `cannot use ${headers.authorization}`, { status: 500 });
    if (url === "/redirects")
      return void received.response.writeHead(302, { location: `https://a.example/?t=${headers.authorization}` }).end();
    if (url === "/babbles") return sendJson(received, `not JSON: ${headers.authorization}`);
    plainServer(received);
  });
  const bootstrap = plant("bootstrap key", `rl_org_${randomBytes(20).toString("hex")}`);
  app = await startTestApp({
    RUNLAYER_BOOTSTRAP_KEY: bootstrap,
    RUNLAYER_STDIO_USER: place.user,
    RUNLAYER_LOG_LEVEL: "trace",
  });
  await plantEverywhere();
}, 120_000);

afterAll(async () => {
  await app.close();
  await upstream.close();
  place.remove();
});

test("nothing in the data directory shows a secret", () => {
  const files = filesBelow(app.dataDir);
  expect(files.length).toBeGreaterThan(2);
  expect(files.flatMap((file) => leaksIn(readFileSync(file)).map((where) => `${where} in ${file}`))).toEqual([]);
});

test("no log line shows a secret", () => {
  expect(app.log.length).toBeGreaterThan(0);
  expect(leaksIn(app.log.join("\n"))).toEqual([]);
});

test("no answer shows a secret but the one that creates it", async () => {
  for (const path of ["organization", "members", "servers", "agents", "api-keys", "groups"])
    answers.push(await read(`/api/v1/${path}`));
  for (const kind of ["servers", "agents"]) {
    const { body } = await app.rest(`GET /${kind}`, { limit: 200 });
    const items = at(body, "items");
    for (const item of Array.isArray(items) ? items : [])
      answers.push(await read(`/api/v1/${kind}/${textAt(item, "id")}`));
  }
  for (const path of ["/metrics", "/healthz", "/readyz"]) answers.push(await read(path));
  expect(answers.length).toBeGreaterThan(30);
  expect(answers.flatMap((answer) => leaksIn(answer).map((where) => `${where} in ${answer}`))).toEqual([]);
});

test("no audit event shows a secret", async () => {
  const { body } = await app.rest("GET /audit-events", { limit: 200 });
  expect(body["nextCursor"]).toBeUndefined();
  const items = at(body, "items");
  const events: readonly unknown[] = Array.isArray(items) ? items : [];
  const texts = events.map((event) => JSON.stringify(event));
  expect(texts.flatMap((text) => leaksIn(text).map((where) => `${where} in ${text}`))).toEqual([]);
  // The events of what was planted are there: a log without them would pass, too.
  const actions = new Set(events.map((event) => at(event, "action")));
  for (const action of ["server.create", "agent.create", "key.create", "tool.call", "message.refused", "auth.failure"])
    expect(actions).toContain(action);
});

test("the search for leaks finds one, in each form", () => {
  const secret = planted.get("bearer token") ?? "";
  for (const form of [secret, Buffer.from(`u:${secret}`).toString("base64"), encodeURIComponent(secret)])
    expect(leaksIn(`before ${form} after`)).toContain("bearer token");
});

async function plantEverywhere(): Promise<void> {
  await plantInServers();
  await plantInKeys();
  await plantInCalls();
  await plantInFaults();
  await plantInHeldCalls();
  // Failures of authentication are counted for a moment before they become an event.
  await app.restart();
}

async function plantInServers(): Promise<void> {
  const http = { transport: "streamable-http", allowPrivateNetwork: true, url: `${upstream.url}/mcp` };
  const credentials = [
    { type: "bearer", token: plant("bearer token") },
    { type: "header", name: "x-api-key", value: plant("header value") },
    { type: "basic", username: "robot", password: plant("basic password") },
    { type: "oauth-client-credentials", ...oauth("/token", "client secret") },
    { type: "oauth-client-credentials", ...oauth("/refuses-token", "refused client secret") },
  ];
  for (const [index, credential] of credentials.entries())
    await keep("POST /servers", {
      name: `http-${index}`,
      ...http,
      credential,
      headers: { "x-extra": plant(`extra header ${index}`) },
    });
  for (const path of ["refuses", "fails", "redirects", "babbles"])
    await keep("POST /servers", {
      name: path,
      ...http,
      url: `${upstream.url}/${path}`,
      credential: { type: "bearer", token: plant(`token of ${path}`) },
    });
  const token = plant("stdio token");
  for (const behaviour of ["good", "secrets", "exit"])
    await keep("POST /servers", {
      name: `stdio-${behaviour}`,
      transport: "stdio",
      command: place.node,
      args: [
        place.script,
        behaviour,
        `--api-key=${plant(`argument of ${behaviour}`)}`,
        "--token",
        plant(`next argument of ${behaviour}`),
      ],
      env: { TOKEN: token, OTHER: plant(`variable of ${behaviour}`) },
      credential: { type: "env", values: { SECRET: plant(`credential variable of ${behaviour}`) } },
      confirm: true,
    });
  await keep("PATCH /servers/http-0", { credential: { type: "bearer", token: plant("rotated token") } });
  await keep("PATCH /servers/refuses", { credential: { type: "bearer", token: plant("refused rotation") } });
  await keep("PATCH /servers/http-1", { url: "https://elsewhere.example/mcp" });
}

function oauth(path: string, where: string) {
  return { tokenUrl: `${upstream.url}${path}`, clientId: "robot", clientSecret: plant(where) };
}

/** The token endpoint is asked again and again, for one secret. */
function plantOnce(where: string): string {
  return planted.get(where) ?? plant(where);
}

let agentKey = "";

async function plantInKeys(): Promise<void> {
  const servers = ["http-0", "http-2", "http-3", "fails", "redirects", "babbles", "stdio-good", "stdio-secrets"];
  const input = { name: "planted", type: "claude-code", servers, idempotencyKey: "twice" };
  const created = await app.rest("POST /agents", input);
  plant("first agent key", textAt(created.body, "key"));
  // The second time the answer comes from the store, which MUST NOT have the key.
  await keep("POST /agents", input);
  const rotated = await app.rest("PATCH /agents/planted", { rotateKey: true });
  agentKey = plant("agent key", textAt(rotated.body, "key"));
  const key = { name: "planted", role: "operator", idempotencyKey: "twice-a-key" };
  const made = await app.rest("POST /api-keys", key);
  const operator = plant("operator key", textAt(made.body, "secret"));
  await keep("POST /api-keys", key);
  await keep("GET /servers", {}, operator);
  await keep("GET /servers", {}, plant("unknown key", `rl_org_${randomBytes(20).toString("hex")}`));
  await keep("GET /servers", {}, agentKey);
  await keep("POST /members", { email: "ada@example.com", name: "Ada", role: "operator" }, operator);
}

async function plantInCalls(): Promise<void> {
  for (const auditPayloads of ["full", "digest", "none", "redacted"]) {
    await keep("PATCH /organization", { auditPayloads });
    for (const server of ["http-0", "http-2", "http-3", "stdio-good", "stdio-secrets"])
      await callWithSecrets(server, `${server} at ${auditPayloads}`);
  }
}

async function callWithSecrets(server: string, when: string): Promise<void> {
  const url = `${app.url}/gateway/${server}/mcp`;
  const hidden = {
    "user-agent": `client/1 ${plantKey(`user agent of ${when}`)}`,
    cookie: `a=${plant(`cookie of ${when}`)}`,
  };
  const clientInfo = { name: `client ${plantKey(`client name of ${when}`)}`, version: "1" };
  const opened = await post(
    url,
    agentKey,
    request(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo }),
    { headers: hidden },
  );
  answers.push(opened.text);
  const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", ...hidden };
  const args = {
    path: "/none",
    password: plant(`password argument of ${when}`),
    nested: [{ apiKey: plant(`nested argument of ${when}`) }],
    note: `use ${plantKey(`key in a text of ${when}`)} for it`,
    link: `https://user:${plant(`password in a URL of ${when}`)}@a.example/`,
    header: `Authorization: Bearer ${plant(`bearer in a text of ${when}`)}`,
    [plantKey(`name of an argument of ${when}`)]: 1,
  };
  // A server may well repeat its arguments: what the agent sent, it may see.
  await post(url, agentKey, call(2, "read_file", args), { headers });
  await post(url, agentKey, call(3, plantKey(`tool name of ${when}`)), { headers });
  await post(url, agentKey, request(4, `x/${plantKey(`method of ${when}`)}`), { headers });
  const uri = `https://a:${plant(`password in a resource of ${when}`)}@a.example/${plantKey(`path of a resource of ${when}`)}`;
  await post(url, agentKey, request(5, "resources/read", { uri }), { headers });
  await post(url, agentKey, request(6, "prompts/get", { name: plantKey(`prompt of ${when}`) }), { headers });
  await post(url, agentKey, `{"broken": "${plantKey(`broken message of ${when}`)}"`, { headers });
}

/** A call that waits for a person is kept until then, and shown to them. */
async function plantInHeldCalls(): Promise<void> {
  const policy = {
    name: "ask",
    effect: "require_approval",
    principals: { everyone: true },
    resources: { servers: ["http-0"] },
    actions: ["any"],
    confirm: true,
  };
  expect((await app.rest("POST /policies", policy)).status).toBe(200);
  const url = `${app.url}/gateway/http-0/mcp`;
  const uri = `https://a:${plant("password in a held resource")}@a.example/`;
  const args = { password: plant("password of a held call"), note: plantKey("key in a held call") };
  for (const message of [
    call(1, plantKey("name of a held tool"), args),
    request(2, "resources/read", { uri }),
    request(3, "prompts/get", {
      name: plantKey("name of a held prompt"),
      arguments: { secret: plant("held argument") },
    }),
  ])
    await post(url, agentKey, message, { signal: AbortSignal.timeout(1_500) }).catch(() => undefined);
  const { body } = await app.rest("GET /approvals");
  expect(body["total"]).toBe(3);
  answers.push(JSON.stringify(body));
}

async function plantInFaults(): Promise<void> {
  for (const server of ["fails", "redirects", "babbles"]) {
    const { text, headers } = await post(`${app.url}/gateway/${server}/mcp`, agentKey, request(1, "initialize"));
    answers.push(text, [...headers].flat().join("\n"));
  }
  await post(
    `${app.url}/gateway/http-0/mcp`,
    plant("unknown agent key", `rl_agent_${randomBytes(20).toString("hex")}`),
    request(1, "ping"),
  );
  await post(`${app.url}/gateway/${plantKey("server name in a path")}/mcp`, agentKey, request(1, "ping"));
  await keep("POST /servers", {
    name: "in-url",
    transport: "streamable-http",
    url: `https://a.example/?api_key=${plant("key in a URL")}`,
  });
  await keep("POST /servers", {
    name: "in-url",
    transport: "streamable-http",
    url: `https://u:${plant("password in a URL")}@a.example/`,
  });
  await keep("POST /servers", { name: "x", credential: { type: "bearer", tokn: plant("mistyped field") } });
  await keep("POST /servers", { name: "x", credential: plant("credential as a text") });
}

/** A call below `/api/v1` whose answer MUST show no secret. */
async function keep(route: string, input: object, key?: string): Promise<void> {
  const { body } = await app.rest(route, input, ...(key === undefined ? [] : [key]));
  answers.push(JSON.stringify(body));
}

async function read(path: string): Promise<string> {
  const response = await fetch(`${app.url}${path}`, { headers: { authorization: `Bearer ${app.ownerKey}` } });
  return response.text();
}

/** Where the secrets came from that these bytes show: as they are, in base64 (HTTP basic), or in a URL. */
function leaksIn(bytes: Buffer | string): readonly string[] {
  const haystack = typeof bytes === "string" ? bytes : bytes.toString("latin1");
  return [...planted]
    .filter(([, secret]) => formsOf(secret).some((form) => haystack.includes(form)))
    .map(([where]) => where);
}

function formsOf(secret: string): readonly string[] {
  // Base64 of a text within a longer one, at each of the three places where it can begin; the ends mix with what is beside it.
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)])
      .toString("base64")
      .slice(4, -4),
  );
  return [secret, ...shifted];
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}
