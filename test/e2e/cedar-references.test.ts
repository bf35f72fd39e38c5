import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "../../src/lib/ids.ts";
import { at, startTestApp, textAt, type Reply, type TestApp } from "../harness/app.ts";

/* What a Cedar text names must be there: a rule about what is not would never match, and nobody would know. */

let app: TestApp;
let serverId: string;
const nobody = newId();

beforeAll(async () => {
  app = await startTestApp();
  const server = { transport: "streamable-http", url: "http://127.0.0.1:9/mcp", allowPrivateNetwork: true };
  serverId = textAt((await app.rest("POST /servers", { name: "github", ...server })).body, "server", "id");
  await app.rest("POST /servers", { name: "gone", ...server });
  await app.rest("POST /agents", { name: "bot", type: "codex", servers: ["github"] });
});

afterAll(() => app.close());

const forbid = (resource: string, principal = "principal"): string => `forbid (${principal}, action, ${resource});`;
let policies = 0;

function create(cedar: string): Promise<Reply> {
  policies += 1;
  return app.rest("POST /policies", { name: `p-${policies}`, cedar, confirm: true });
}

test.each([
  ["resource", 'resource == Runlayer::Resource::"github/repo://x"', "repo://x"],
  ["prompt", 'resource == Runlayer::Prompt::"github/review"', "review"],
  ["tool", 'resource == Runlayer::Tool::"github/delete_repo"', "delete_repo"],
])("the server's name in front of a %s becomes its id", async (_, resource, name) => {
  const { status, body } = await create(forbid(resource));
  expect(status).toBe(200);
  expect(textAt(body, "policy", "cedar")).toContain(`"${serverId}/${name}"`);
});

test.each([
  ["agent", forbid("resource", `principal == Runlayer::Agent::"${nobody}"`), nobody],
  ["member", forbid("resource", `principal in Runlayer::Member::"${nobody}"`), nobody],
  ["group", forbid("resource", `principal in Runlayer::Group::"${nobody}"`), nobody],
  ["role", forbid("resource", 'principal in Runlayer::Role::"admn"'), "admn"],
  ["server", forbid(`resource in Runlayer::Server::"${nobody}"`), nobody],
  ["group of servers", forbid(`resource in Runlayer::ServerGroup::"${nobody}"`), nobody],
  ["skill", forbid(`resource == Runlayer::Skill::"${nobody}"`), nobody],
  ["tool's server", forbid(`resource == Runlayer::Tool::"${nobody}/x"`), nobody],
  ["resource's server", forbid(`resource == Runlayer::Resource::"ghost/repo://x"`), "ghost"],
  ["prompt's server", forbid(`resource == Runlayer::Prompt::"${nobody}/x"`), nobody],
])("a text that names no %s is refused, and so is its simulation", async (_, cedar, named) => {
  for (const refused of [await create(cedar), await app.rest("POST /policies/simulations", { cedar })]) {
    expect(refused).toMatchObject({ status: 404, body: { code: "not_found" } });
    expect(JSON.stringify(refused.body)).toContain(named);
  }
});

test("a text may keep what it named before, also when that is gone", async () => {
  const cedar =
    'forbid (principal, action, resource) when { resource in Runlayer::Server::"gone" || resource in Runlayer::Server::"github" };';
  expect((await app.rest("POST /policies", { name: "keeps", cedar, confirm: true })).status).toBe(200);
  expect((await app.rest("DELETE /servers/gone", { confirm: true })).status).toBe(200);
  const stored = textAt((await app.rest("GET /policies/keeps")).body, "policy", "cedar");
  const same = await app.rest("PATCH /policies/keeps", { cedar: stored, confirm: true });
  expect(same).toMatchObject({ status: 200 });
  expect(at(same.body, "policy", "cedar")).toBe(stored);
  expect((await app.rest("POST /policies/simulations", { id: "keeps", cedar: stored })).status).toBe(200);
  expect((await app.rest("PATCH /policies/keeps", { mode: "monitor" })).status).toBe(200);
  const other = forbid(`resource in Runlayer::Server::"${nobody}"`);
  expect((await app.rest("PATCH /policies/keeps", { cedar: other, confirm: true })).status).toBe(404);
  expect((await create(stored)).status).toBe(404);
});
