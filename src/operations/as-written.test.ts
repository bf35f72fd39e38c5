import { expect, test } from "vitest";
import { escapeForeign } from "./as-written.ts";
import { OPERATIONS } from "./index.ts";

const WRITTEN = `${"x".repeat(70_000)}\u200b`;

const kept: readonly (readonly [operation: string, output: Readonly<Record<string, unknown>>])[] = [
  ["create_agent", { connection: { config: WRITTEN } }],
  ["get_agent", { agent: { servers: [{ tools: [WRITTEN], resources: [WRITTEN], prompts: [WRITTEN] }] } }],
  ["get_skill", { skill: { instructions: WRITTEN, code: WRITTEN, inputSchema: { [WRITTEN]: [WRITTEN] } } }],
  ["get_skill", { skill: { files: [{ path: WRITTEN, base64: WRITTEN }], tools: [WRITTEN], metadata: { a: WRITTEN } } }],
  ["update_skill", { skill: { code: WRITTEN, outputSchema: { a: WRITTEN } } }],
  ["list_policies", { items: [{ cedar: WRITTEN, conditions: [{ field: WRITTEN, value: [WRITTEN] }] }] }],
  ["get_policy", { policy: { resources: { tools: [WRITTEN], except: { tools: [WRITTEN] } } } }],
];

test.each(kept)("%s gives back what members wrote", (name, output) => {
  const operation = OPERATIONS.find((one) => one.name === name);
  expect(escapeForeign(output, operation?.output)).toEqual(output);
});

const foreign: readonly (readonly [operation: string, output: Readonly<Record<string, unknown>>])[] = [
  ["get_mcp_server", { server: { tools: [{ name: WRITTEN, pendingChange: { diff: [{ after: { a: WRITTEN } }] } }] } }],
  ["get_policy", { policy: { violations: { byResource: [{ name: WRITTEN }] } } }],
  ["get_scan_results", { items: [{ title: WRITTEN, evidence: [WRITTEN] }] }],
  ["get_audit_logs", { items: [{ details: { arguments: WRITTEN } }] }],
  ["run_skill", { run: { output: [WRITTEN], logs: [WRITTEN] } }],
  ["get_skill", { skill: { servers: [{ missingTools: [WRITTEN] }] }, unknown: WRITTEN }],
];

test.each(foreign)("%s makes visible and bounds what others chose", (name, output) => {
  const operation = OPERATIONS.find((one) => one.name === name);
  const shown = JSON.stringify(escapeForeign(output, operation?.output));
  expect(shown).not.toContain("\u200b");
  expect(shown).toContain("…[4465 more characters are left out here]");
});
