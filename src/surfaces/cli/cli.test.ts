import { once } from "node:events";
import { createServer } from "node:http";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { HOSTILE, startSurface, TEST_OPERATIONS, things, type SurfaceHarness } from "../../../test/harness/surface.ts";
import { buildCli, runCli, type CliProcess, type CliSettings } from "./build-cli.ts";
import { apiTarget } from "./run-operation.ts";

let surface: SurfaceHarness;
beforeAll(async () => {
  surface = await startSurface();
});
afterAll(() => surface.close());
beforeEach(() => things.clear());

const run = (line: string, given: Partial<CliProcess> = {}) => runArgs(line.split(" "), given);

async function runArgs(args: readonly string[], given: Partial<CliProcess> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  let exitCode = 0;
  const settings: CliSettings = {
    operations: TEST_OPERATIONS,
    version: "0.0.0-test",
    setExitCode: (code) => void (exitCode = code),
    process: {
      env: { RUNLAYER_URL: surface.url, RUNLAYER_API_KEY: surface.owner.secret },
      print: (text) => void out.push(text),
      printError: (text) => void err.push(text),
      confirm: undefined,
      ...given,
    },
  };
  await runCli(buildCli(settings), args, settings);
  return { exitCode, out: out.join(""), err: err.join("") };
}

test("prints a table, and the whole answer as JSON", async () => {
  await run("things create --name one");
  const table = await run("things list");
  expect(table.exitCode).toBe(0);
  expect(table.out).toMatch(/^name +id +note\none +[0-9a-f-]{36} +nice\\u\{202e\}tool/);
  const json = await run("things list --json");
  for (const hidden of "\u202e\u200b\u001b") expect(json.out).not.toContain(hidden);
  expect(JSON.parse(json.out)).toMatchObject({ items: [{ name: "one", note: HOSTILE }], total: 1 });
});

test("reads options as the schema says", async () => {
  const file = join(tmpdir(), `runlayer-cli-${process.pid}.json`);
  onTestFinished(() => rm(file, { force: true }));
  await writeFile(file, '{"size":3}\n');
  const { out } = await run(
    `things list --limit 5 --is-new --tags a --tags 2 --action a --action b --where @${file} --json`,
  );
  expect(JSON.parse(out)).toMatchObject({
    seen: { limit: 5, isNew: true, tags: ["a", "2"], action: ["a", "b"], where: { size: 3 } },
  });
  expect(JSON.parse((await run("things list --no-is-new --json")).out)).toMatchObject({ seen: { isNew: false } });
});

test("prints a secret once, with a warning beside it", async () => {
  const { out, err } = await run("things create --name one");
  expect(out).toContain("once-");
  expect(err).toContain("cannot be shown again");
});

test("without a person, shows the impact and how to confirm", async () => {
  await run("things create --name one");
  const { exitCode, err } = await run("things delete one");
  expect(exitCode).toBe(3);
  expect(err).toContain("--confirm");
  expect(err).toContain("things: 1");
  expect(things.size).toBe(1);
  expect((await run("things delete --confirm one")).exitCode).toBe(0);
  expect(things.size).toBe(0);
});

test("asks a person, and does what they say", async () => {
  await run("things create --name one");
  expect((await run("things delete one", { confirm: () => Promise.resolve(false) })).exitCode).toBe(3);
  expect(things.size).toBe(1);
  expect((await run("things delete one", { confirm: () => Promise.resolve(true) })).exitCode).toBe(0);
  expect(things.size).toBe(0);
});

test.each([
  ["an unknown command", "things paint", 2],
  ["an unknown option", "things list --colour red", 2],
  ["a missing argument", "things delete", 2],
  ["a missing option", "things create", 2],
  ["a file that is not there", "things list --where @/does/not/exist", 2],
  ["a wrong type", "things list --limit ten", 2],
  ["an invisible character", "things create --name one --note a\u200bb", 2],
  ["an object that is not there", "things delete nothing --confirm", 3],
  ["help", "things list --help", 0],
  ["the version", "--version", 0],
])("exits with the contract's code for %s", async (_name, line, code) => {
  expect((await run(line)).exitCode).toBe(code);
  expect(things.size).toBe(0);
});

test("says what is wrong with a key, and with an address", async () => {
  const noKey = await run("things list", { env: { RUNLAYER_URL: surface.url } });
  expect(noKey).toMatchObject({ exitCode: 3, err: expect.stringContaining("RUNLAYER_API_KEY") });
  const nobody = await run("things list", { env: { RUNLAYER_URL: "http://127.0.0.1:1" } });
  expect(nobody).toMatchObject({ exitCode: 4, err: expect.stringContaining("RUNLAYER_URL") });
  expect(nobody.err).toContain("npm start");
  for (const url of ["nonsense", "host:7420", "file:///etc"]) {
    const noUrl = await run("things list", { env: { RUNLAYER_URL: url } });
    expect(noUrl).toMatchObject({ exitCode: 2, err: expect.stringContaining(`\`${url}\` is no URL`) });
  }
});

test("tells a server that is not there from one that answers something else", async () => {
  const front = createServer((request, response) => {
    const isMoved = request.url?.startsWith("/moved") === true;
    response.writeHead(isMoved ? 301 : 502, { location: "https://r.example.com/" }).end("<html>Bad Gateway</html>");
  });
  await once(front.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${Object(front.address()).port}`;
  const page = await run("things list", { env: { RUNLAYER_URL: url } });
  expect(page).toMatchObject({ exitCode: 4, err: expect.stringContaining("502") });
  const moved = await run("things list", { env: { RUNLAYER_URL: `${url}/moved` } });
  expect(moved).toMatchObject({ exitCode: 4, err: expect.stringContaining("https://r.example.com/") });
  const remote = await run("things list", { env: { RUNLAYER_URL: "http://runlayer.invalid:7420" } });
  expect(remote.exitCode).toBe(4);
  for (const { err } of [page, moved, remote]) expect(err).not.toContain("npm start");
  front.close().closeAllConnections();
});

test.each([
  ["--where", "things list --where {bad", "position 1"],
  ["--where", "things list --where size", "Unexpected token"],
  ["--servers", 'things create --name one --servers github --servers {"server":', "end of JSON"],
  ["--servers", "things create --name one --servers [sesame", "Unexpected token"],
])("says that %s is not valid JSON, and where: %s", async (flag, line, where) => {
  const { exitCode, err } = await run(line);
  expect([exitCode, err]).toEqual([2, expect.stringContaining(`${flag} is not valid JSON: `)]);
  expect(err).toContain(where);
  expect(err).not.toMatch(/bad|size|sesame/);
  expect(things.size).toBe(0);
});

test.each([
  ["an option that is misspelt", ["things", "create", "--name", "one", "--credentail=sesame"], "'--credentail'"],
  ["an option of one letter", ["things", "create", "--name", "one", "-psesame"], "'-p'"],
  ["JSON without quotes", ["things", "create", "--name", "one", "{type:", "sesame}"], "quotes"],
])("names %s, and quotes no value", async (_what, args, named) => {
  const { exitCode, err } = await runArgs(args);
  expect([exitCode, err]).toEqual([2, expect.stringContaining(named)]);
  expect(err).toMatch(/^error: [^\n]*\n$/);
  expect(err).not.toContain("sesame");
});

test("suggests the option that was meant", async () => {
  expect((await run("things create --name one --nmae one")).err).toContain("Did you mean --name?");
});

test.each(["", ".", ".."])("asks for a name in the place of `%s`", async (id) => {
  const { exitCode, err } = await runArgs(["things", "delete", id, "--confirm"]);
  expect([exitCode, err]).toEqual([2, expect.stringContaining("`id` names nothing")]);
});

test("prints errors as JSON where asked", async () => {
  const { out } = await run("things delete nothing --confirm --json");
  expect(JSON.parse(out)).toMatchObject({ error: { code: "not_found" } });
});

test("an empty variable is an unset one", () => {
  const unset = apiTarget({ env: {} });
  expect(unset).toEqual({ url: "http://127.0.0.1:7420", apiKey: undefined });
  expect(apiTarget({ env: { RUNLAYER_URL: "", RUNLAYER_API_KEY: " " } })).toEqual(unset);
  expect(apiTarget({ env: { RUNLAYER_URL: "https://r.example.com", RUNLAYER_API_KEY: "rl_org_x\n" } })).toEqual({
    url: "https://r.example.com",
    apiKey: "rl_org_x",
  });
});
