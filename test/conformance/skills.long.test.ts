import { afterAll, beforeAll, expect, test } from "vitest";
import { startAgentFront, type AgentFront } from "../harness/agent-front.ts";
import { startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runScenario } from "./run-suite.ts";

let app: TestApp;
let front: AgentFront;

beforeAll(async () => {
  app = await startTestApp({ RUNLAYER_LOG_LEVEL: "warn" });
  const files = [
    { path: "references/formats.md", text: "# Formats\n" },
    { path: "assets/pixel.bin", base64: "AAEC" },
  ];
  const skill = { description: "Writes plainly", instructions: "Write plainly.\n", license: "MIT" };
  await app.rest("POST /skills", { name: "house-style", ...skill, files });
  await app.rest("POST /skills", { name: "short-words", ...skill });
  const { body } = await app.rest("POST /agents", { name: "suite", type: "custom" });
  front = await startAgentFront(`${app.url}/gateway/mcp`, textAt(body, "key"));
});

afterAll(async () => {
  await front.close();
  await app.close();
});

// `resources/directory/read` is optional and not declared, so that `sep-2640-skills-directory` has nothing to test.
test.each(["sep-2640-skills-enumeration", "sep-2640-skills-manifest"])("%s", async (scenario) => {
  const { exitCode, output } = await runScenario(front.url, scenario);
  expect(exitCode, output).toBe(0);
  expect(output).toMatch(/Passed: [1-9]\d*\/[1-9]\d*, 0 failed/);
});
