import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addCommands } from "../../src/app/commands.ts";
import { OPERATIONS } from "../../src/operations/index.ts";
import { buildCli } from "../../src/surfaces/cli/build-cli.ts";
import { bridgeStdio } from "../../src/surfaces/cli/stdio-bridge.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runlayer } from "../harness/cli.ts";

let app: TestApp;
let folder: string;
beforeAll(async () => {
  app = await startTestApp();
  folder = mkdtempSync(join(tmpdir(), "runlayer-host-"));
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

const parsed = (out: string): object => Object(JSON.parse(out));

/** Speaks MCP on its standard output. */
const WITHOUT_JSON = ["stdio"];

test("every command answers JSON", () => {
  const unused = (): void => undefined;
  const settings = {
    operations: OPERATIONS,
    version: "0",
    setExitCode: unused,
    process: { env: {}, print: unused, printError: unused, confirm: undefined },
  };
  const program = buildCli(settings);
  addCommands(program, settings);
  const leaves = (command: Command): readonly Command[] =>
    command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
  const without = leaves(program).filter(({ options }) => !options.some(({ long }) => long === "--json"));
  expect(without.map((command) => command.name())).toEqual(WITHOUT_JSON);
});

test("`keys create` makes the owner key on the server that is named", async () => {
  const env = { RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey };
  const plain = await runlayer(["keys", "create", "--name", "over-rest"], env);
  expect(plain).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^rl_org_\w+\n$/) });
  expect((await app.rest("GET /organization", {}, plain.out.trim())).status).toBe(200);
  const json = await runlayer(["keys", "create", "--name", "as-json", "--json"], env);
  expect(parsed(json.out)).toMatchObject({ apiKey: { name: "as-json", role: "owner" }, secret: expect.any(String) });
  const again = await runlayer(["keys", "create", "--name", "as-json", "--json"], env);
  expect([again.exitCode, parsed(again.out)]).toMatchObject([3, { error: { code: "conflict" } }]);
});

test("`keys` works on the data directory where no server is named, and answers JSON alike", async () => {
  const env = { RUNLAYER_DATA_DIR: join(folder, "data") };
  const made = await runlayer(["keys", "create", "--json"], env);
  expect(parsed(made.out)).toMatchObject({ apiKey: { name: "host", role: "owner" }, secret: expect.any(String) });
  const rotated = await runlayer(["keys", "rotate-master", "--json"], env);
  expect(parsed(rotated.out)).toEqual({ records: expect.any(Number) });
  const named = await runlayer(["keys", "rotate-master", "--json"], { ...env, RUNLAYER_URL: app.url });
  expect([named.exitCode, parsed(named.out)]).toMatchObject([2, { error: { code: "invalid_input" } }]);
});

test("`keys` refuses a data directory that a server holds, and names the way out", async () => {
  const env = { RUNLAYER_DATA_DIR: app.dataDir };
  const made = await runlayer(["keys", "create"], env);
  expect(made).toMatchObject({ exitCode: 3, out: "", err: expect.stringContaining("set RUNLAYER_URL") });
  const rotated = await runlayer(["keys", "rotate-master"], env);
  expect(rotated).toMatchObject({ exitCode: 3, err: expect.stringContaining("stop it first") });
});

test("`keys` says where it works, and that a directory without a database is none to rotate", async () => {
  const nowhere = join(folder, "mistyped");
  const rotated = await runlayer(["keys", "rotate-master", "--data-dir", nowhere], {});
  expect(rotated).toMatchObject({ exitCode: 2, err: expect.stringContaining(`\`${nowhere}\``) });
  expect(existsSync(nowhere)).toBe(false);
  const create = (name: string) =>
    runlayer(["keys", "create", "--name", name, "--data-dir", nowhere], { RUNLAYER_URL: app.url });
  const first = await create("first");
  expect([first.exitCode, first.err]).toEqual([0, expect.stringContaining(`\`${nowhere}\`, a new installation`)]);
  const second = await create("second");
  expect(second.err).toContain(`\`${nowhere}\`\n`);
});

test.each([
  ["cannot be reached", "http://127.0.0.1:1", 4],
  ["wants a key", "", 3],
])("`keys create` names the way out where the server %s", async (_what, url, exitCode) => {
  const run = await runlayer(["keys", "create"], { RUNLAYER_URL: url === "" ? app.url : url });
  expect(run).toMatchObject({ exitCode, err: expect.stringContaining("unset RUNLAYER_URL to use the data directory") });
});

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "script", version: "1.0.0" } },
};

/** What the bridge answers to a script that asks for a session and ends its input, and what it logs. */
const bridgeOneLine = (url: string) => bridge(url, `${JSON.stringify(INITIALIZE)}\n`);

async function bridge(
  url: string,
  input: string,
): Promise<{ answers: readonly string[]; problems: readonly string[] }> {
  const [stdin, stdout, problems] = [new PassThrough(), new PassThrough(), new Array<string>()];
  stdin.end(input);
  const onProblem = (message: string): void => void problems.push(message);
  await bridgeStdio({ url: new URL(url), key: app.ownerKey, stdin, stdout, onProblem });
  stdout.end();
  return { answers: (await text(stdout)).trim().split("\n"), problems };
}

test("`stdio` answers what was asked before its input ended", async () => {
  const { answers, problems } = await bridgeOneLine(`${app.url}/mcp`);
  expect(answers.map(parsed)).toEqual([expect.objectContaining({ id: 1, result: expect.anything() })]);
  expect(problems).toEqual([]);
});

test.each([
  ["a server that does not answer", "http://127.0.0.1:1/gateway/none/mcp"],
  ["a refusal", "/gateway/none/mcp"],
])("`stdio` tells its client and its log of %s, once", async (_what, path) => {
  const url = new URL(path, app.url).href;
  const { answers, problems } = await bridgeOneLine(url);
  expect(answers.map(parsed)).toEqual([expect.objectContaining({ id: 1, error: expect.anything() })]);
  expect(problems).toHaveLength(1);
  expect(`runlayer: ${problems.join()}`).toBe(at(answers.map(parsed), 0, "error", "message"));
  if (url === path) expect(problems[0]).toContain(url);
});

test("`stdio` tells of what is no message in one line, and goes on", async () => {
  const { answers, problems } = await bridge(`${app.url}/mcp`, `{"jsonrpc":"2.0"}\n${JSON.stringify(INITIALIZE)}\n`);
  expect(answers.map(parsed)).toEqual([expect.objectContaining({ id: 1, result: expect.anything() })]);
  expect(problems).toEqual(["the client sent what is no JSON-RPC message"]);
});

test("`stdio` takes http and https only", async () => {
  const run = await runlayer(["stdio", "--url", "ftp://127.0.0.1/x"], { RUNLAYER_AGENT_KEY: "rl_agent_x" });
  expect(run).toMatchObject({ exitCode: 2, err: expect.stringContaining("http or https") });
});

test.each([
  ["two lines", "rl_agent_sesame\nrl_agent_open"],
  ["the placeholder of the documents", "rl_agent_sesame…"],
])("a key of %s is refused before it is used, and not quoted", async (_what, key) => {
  const keyFile = join(folder, "no-key");
  writeFileSync(keyFile, key);
  const skill = new URL("../../examples/skills/format-date", import.meta.url).pathname;
  const url = { RUNLAYER_URL: app.url };
  const runs = await Promise.all([
    runlayer(["stdio", "--url", app.url, "--key-file", keyFile], {}),
    runlayer(["stdio", "--url", app.url], { RUNLAYER_AGENT_KEY: key }),
    runlayer(["skills", "test", skill, "--live", "--key-file", keyFile], url),
    runlayer(["device", "enroll", "--url", app.url, "--key", key], {}),
    runlayer(["servers", "list"], { ...url, RUNLAYER_API_KEY: key }),
  ]);
  for (const run of runs) {
    expect(run).toMatchObject({ exitCode: 2, err: expect.stringMatching(/^[^\n]* no key; [^\n]*\n$/) });
    expect(run.out + run.err).not.toContain("sesame");
  }
});

test("a mistaken path is one line that names it, and usage", async () => {
  const env = { RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey };
  const remote = { transport: "streamable-http", url: "http://127.0.0.1:9/mcp", allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "any", ...remote });
  const agent = { name: "mistaken", type: "cursor", servers: ["any"] };
  const key = textAt((await app.rest("POST /agents", agent)).body, "key");
  const [keyFile, file, nowhere] = [join(folder, "agent-key"), join(folder, "README.md"), join(folder, "nope")];
  writeFileSync(keyFile, key);
  writeFileSync(file, "text");
  const cases = [
    ["skills", "test", nowhere],
    ["skills", "test", file],
    ["skills", "push", file],
    ["export", "-o", join(nowhere, "x.yaml")],
    ["export", "-o", folder],
    ["connect", "cursor", "--agent", "mistaken", "--key-file", keyFile, "--path", folder],
    ["device", "report", "--folder", file],
    ["stdio", "--url", app.url, "--key-file", nowhere],
    ["stdio", "--url", app.url, "--key-file", folder],
  ];
  for (const args of cases) {
    const run = await runlayer(args, env);
    expect([args, run.exitCode]).toEqual([args, 2]);
    const path = args.at(-1) ?? "";
    expect(run.err).toMatch(/^runlayer: `[^\n]*\n$/);
    expect(run.err).toContain(path);
  }
});

test("`device` answers JSON, never with the key", async () => {
  const home = join(folder, "home");
  mkdirSync(join(home, ".cursor"), { recursive: true });
  writeFileSync(join(home, ".cursor/mcp.json"), '{"mcpServers":{"one":{"command":"npx","args":["one"]}}}');
  const key = textAt((await app.rest("POST /devices", { name: "laptop" })).body, "key");
  const place = ["--folder", join(folder, "state"), "--json"];
  const enrolled = await runlayer(["device", "enroll", "--url", app.url, "--key", key, ...place], {});
  expect(parsed(enrolled.out)).toEqual({ enrolled: true, url: app.url, folder: join(folder, "state") });
  const reported = await runlayer(["device", "report", "--home", home, ...place], {});
  expect([reported.out, reported.err]).toEqual(['{"accepted":true}\n', ""]);
  const service = await runlayer(["device", "service", "--for", "systemd", "--json"], {});
  expect(at(parsed(service.out), "text")).toContain("[Service]");
  const failed = await runlayer(["device", "report", "--folder", join(folder, "nowhere"), "--json"], {});
  expect(parsed(failed.out)).toHaveProperty("error");
  expect(failed.exitCode).not.toBe(0);
});
