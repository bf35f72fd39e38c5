import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { OPERATIONS } from "./index.ts";

const SECRET = "a-secret\nvalue";
const SERVER = { name: "s", transport: "sse", url: "https://mcp.example.com/sse" };
const AGENT = { name: "a", type: "custom" };

const cases: readonly (readonly [operation: string, input: object, faults: Readonly<Record<string, string>>])[] = [
  ["create_agent", { name: "a" }, { type: "is missing" }],
  ["create_mcp_server", { name: "s", url: SERVER.url }, { transport: "is missing; give `streamable-http` or `sse`" }],
  [
    "create_agent",
    { ...AGENT, servers: [{ servr: "files" }] },
    { "servers.0.server": "missing", "servers.0.servr": "unknown" },
  ],
  ["create_agent", { ...AGENT, servers: [{ server: "files", tools: "x" }] }, { "servers.0.tools": "expected array" }],
  ["create_agent", { ...AGENT, servers: ["two words"] }, { "servers.0": "an id or a name" }],
  ["create_agent", { ...AGENT, skills: [1] }, { "skills.0": "must be text or an object" }],
  [
    "update_mcp_server",
    { id: "s", approveToolChanges: [{ tool: "x" }] },
    { "approveToolChanges.0.digest": "is missing" },
  ],
  ["update_mcp_server", { id: "s", approveToolChanges: false }, { approveToolChanges: "must be `true` or a list" }],
  ["get_audit_logs", { action: 5 }, { action: "must be text or a list" }],
  [
    "create_policy",
    { name: "p", conditions: [{ field: "context.ip", operator: "eq", value: {} }] },
    { "conditions.0.value": "must be text or a number" },
  ],
  ["create_mcp_server", { ...SERVER, headers: { "X-A": SECRET } }, { "headers.X-A": "no line break" }],
  ["create_mcp_server", { ...SERVER, headers: { "a b": SECRET } }, { "headers.a b": "must be an RFC 9110 token" }],
  ["create_mcp_server", { ...SERVER, env: { "A B": SECRET } }, { "env.A B": "must be a variable name" }],
  [
    "create_mcp_server",
    { ...SERVER, credential: { type: "token" } },
    { "credential.type": "must be `none` or `bearer`" },
  ],
  ["create_mcp_server", { ...SERVER, credential: { type: "bearer" } }, { "credential.token": "is missing" }],
];

test.each(cases)("%s says of %j which field is at fault, and how", (name, input, faults) => {
  const operation = OPERATIONS.find((one) => one.name === name);
  const expected = Object.entries(faults).map(([field, words]) => ({ field, message: expect.stringContaining(words) }));
  const refusal = expect.objectContaining({ code: "invalid_input", details: { issues: expected } });
  expect(() => operation?.start(input)).toThrow(refusal);
});

test("repeats no value, and bounds what it repeats of names", () => {
  const operation = OPERATIONS.find((one) => one.name === "create_mcp_server");
  const headers = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}${"\u200b ".repeat(1000)}`, SECRET]));
  try {
    operation?.start({ ...SERVER, headers });
    expect.unreachable();
  } catch (error) {
    const message = error instanceof AppError ? error.message : "";
    expect(message).toContain("`headers.0? ? ");
    expect(message).not.toContain("secret");
    expect(message.length).toBeLessThan(4000);
  }
});
