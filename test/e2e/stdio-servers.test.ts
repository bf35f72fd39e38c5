import { afterAll, beforeAll, expect, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;
let place: StdioPlace;
let operator: string;

beforeAll(async () => {
  place = makeStdioPlace();
  app = await startTestApp({ RUNLAYER_STDIO_USER: place.user });
  operator = textAt((await app.rest("POST /api-keys", { name: "stdio-operator", role: "operator" })).body, "secret");
});
afterAll(async () => {
  await app.close();
  place.remove();
});

test("starts a command that was registered without confirmation once it is confirmed, and not again", async () => {
  const command = { transport: "stdio", command: place.node, args: [place.script] };
  const made = await app.rest("POST /servers", { name: "later", ...command });
  expect(at(made.body, "discovery", "state")).toBe("not_contacted");
  const confirm = (input: object = {}, key = app.ownerKey) =>
    app.rest("PATCH /servers/later", { confirm: true, ...input }, key);
  expect((await confirm({}, operator)).body).toMatchObject({ code: "forbidden", details: { field: "confirm" } });
  const dry = await confirm({ dryRun: true });
  expect([dry.status, at(dry.body, "discovery")]).toEqual([200, undefined]);
  const started = await confirm();
  expect(at(started.body, "discovery"), JSON.stringify(started.body)).toMatchObject({ state: "ok" });
  expect(at(started.body, "server", "tools", 0)).toMatchObject({ state: "approved" });
  const { body } = await app.rest("GET /audit-events", { action: "server.update", resource: "later" });
  expect(at(body, "items", 0, "details")).toMatchObject({ discovery: "ok" });
  expect(at((await confirm({ description: "known" }, operator)).body, "discovery")).toBeUndefined();

  const changed = await app.rest("PATCH /servers/later", { args: [place.script, "good"] });
  expect(at(changed.body, "discovery", "state")).toBe("not_contacted");
  expect((await confirm({}, operator)).body["code"]).toBe("forbidden");
  expect(at((await confirm()).body, "discovery", "state")).toBe("ok");
});

test("tries a new credential on a command that may be started, and says of any other that it did not", async () => {
  const script = `test "$TOKEN" = right -o "$TOKEN" = next && exec "${place.node}" "${place.script}"`;
  const asking = { transport: "stdio", command: "sh", args: ["-c", script] };
  const credentialOf = (token: string) => ({ type: "env", values: { TOKEN: token } });
  const rotate = (token: string, input: object = {}) =>
    app.rest("PATCH /servers/asking", { credential: credentialOf(token), ...input });
  const made = { name: "asking", ...asking, credential: credentialOf("right"), confirm: true };
  const { body } = await app.rest("POST /servers", made);
  expect(at(body, "discovery", "state"), JSON.stringify(body)).toBe("ok");

  const refused = await rotate("wrong", { confirm: true });
  expect([refused.status, refused.body["code"]]).toEqual([502, "upstream_error"]);
  const { body: kept } = await app.rest("GET /servers/asking");
  expect(at(kept, "server", "version")).toBe(at(body, "server", "version"));
  const changed = await app.rest("PATCH /servers/asking", { env: { OTHER: "x" }, confirm: true });
  expect(at(changed.body, "discovery", "state")).toBe("ok");

  const verified = await rotate("next", { confirm: true });
  expect(at(verified.body, "rotation"), JSON.stringify(verified.body)).toMatchObject({ verified: "not_challenged" });
  expect(at(verified.body, "discovery", "state")).toBe("ok");
  for (const input of [{}, { confirm: true, force: true }]) {
    expect(at((await rotate("wrong", input)).body, "rotation")).toMatchObject({ verified: "skipped" });
  }
});

test("a slip of the pen in an accepted tool is refused", async () => {
  const approvals = [{ tool: "echo", digest: "0".repeat(64), diggest: "1".repeat(64) }];
  const answer = await app.rest("PATCH /servers/later", { approveToolChanges: approvals });
  expect(answer.body).toMatchObject({ code: "invalid_input" });
});
