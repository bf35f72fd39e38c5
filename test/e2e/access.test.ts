import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/* What the control plane says of a call is what the gateway decides on it. */

let app: TestApp;
let upstream: RunningServer;
let tool: string;
let client: Client;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  const server = { transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
  const { body } = await app.rest("POST /servers", { name: "s", ...server });
  tool = textAt(body, "server", "tools", 0, "name");
  await app.rest("POST /servers", { name: "other", ...server });
  await app.rest("POST /agents", { name: "bystander", type: "codex", servers: ["other"] });
  const agent = await app.rest("POST /agents", { name: "caller", type: "codex", servers: ["s"] });
  client = await app.agentClient("s", textAt(agent.body, "key"));
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

/** What the gateway decides. */
async function decided(args: Record<string, unknown>): Promise<string> {
  try {
    await client.callTool({ name: tool, arguments: args });
    return "allow";
  } catch (error) {
    expect(at(Object(error), "data", "reason") ?? Object(error).data?.reason).toBe("policy");
    return Object(error).code === -32_012 ? "held" : "deny";
  }
}

const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

test.each([
  ["a connect that is denied", { actions: ["connect"] }, "denied"],
  [
    "a connect that is denied on certain days",
    { actions: ["connect"], conditions: [{ field: "context.weekday", operator: "in", value: weekdays }] },
    "conditional",
  ],
  [
    "a connect that is denied to another client",
    { actions: ["connect"], conditions: [{ field: "context.client", operator: "eq", value: "other" }] },
    "allowed",
  ],
  ["a connect that is held", { actions: ["connect"], effect: "require_approval" }, "allowed"],
  ["a call that is denied", { actions: ["call_tool"] }, "denied"],
  ["anything denied", { actions: ["any"] }, "denied"],
  ["reading denied", { actions: ["read_resource"] }, "allowed"],
])("all faces agree with the gateway on %s", async (_, rule, access) => {
  const name = "agreed";
  const input = { name, effect: "deny", principals: { agents: ["caller"] }, resources: { servers: ["s"] }, ...rule };
  const call = { agent: "caller", server: "s", tool };
  expect(await decided({})).toBe("allow");
  const simulated = await app.rest("POST /policies/simulations", { ...input, name: undefined, call });
  expect(at(simulated.body, "call")).toMatchObject({ before: { access: "allowed" }, after: { access } });
  const made = await app.rest("POST /policies", input);
  const isDenied = (await decided({})) === "deny";
  expect(isDenied).toBe(access !== "allowed");
  const impact = at(made.body, "impact");
  expect(Number(at(impact, "newlyDenied")) > 0).toBe(isDenied);
  expect(at(simulated.body, "impact", "newlyDenied")).toBe(at(impact, "newlyDenied"));
  expect(at(impact, "loses")).toEqual(isDenied ? [expect.objectContaining({ name: "caller" })] : []);
  const explained = await app.rest("POST /access/explanations", call);
  expect(explained.body).toMatchObject({ decision: isDenied ? "deny" : "allow", access });
  if (isDenied) {
    expect(explained.body).toMatchObject({ reason: "policy", policies: [{ name }] });
    expect(explained.body["considered"]).toMatchObject([{ name, result: "matched" }]);
  }
  const listed = await app.rest("GET /access", { server: "s" });
  expect(at(listed.body, "items", 0)).toMatchObject({ agent: { name: "caller" }, hasAccess: access !== "denied" });
  const shown = at((await app.rest("GET /agents/caller")).body, "agent", "access", 0, "tools");
  expect(shown).toContainEqual(expect.objectContaining({ tool, access }));
  const gone = await app.rest(`DELETE /policies/${name}`, { confirm: true });
  expect(at(gone.body, "impact", "gains")).toEqual(isDenied ? [expect.objectContaining({ name: "caller" })] : []);
});
