import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../harness/app.ts";
import { PROGRAM, runProgram, startProgram } from "../harness/program.ts";

let dataDir: string;
let environment: Record<string, string>;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-start-"));
  environment = { RUNLAYER_DATA_DIR: dataDir, RUNLAYER_PORT: String(await freePort()) };
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const get = async (url: string, key = "") =>
  fetch(`${url}/api/v1/organization`, { headers: { authorization: `Bearer ${key}` } });

describe("a wrong value stops the start with one line", () => {
  test.each([
    ["RUNLAYER_PORT", "abc"],
    ["RUNLAYER_HOST", "0.0.0.0"],
    ["RUNLAYER_DATABASE_URL", "mysql://x"],
    ["RUNLAYER_DATABASE_URL", "postgres://runlayer:hunter2#secret@127.0.0.1:1/none"],
    ["RUNLAYER_DATABASE_URL", "postgres://runlayer:hunter%ff@127.0.0.1:1/none"],
    ["RUNLAYER_MASTER_KEY", "short"],
    ["RUNLAYER_MASTER_KEY_FILE", "/nowhere/key"],
    ["RUNLAYER_PUBLIC_URL", "example"],
    ["RUNLAYER_TRUSTED_PROXIES", "10.0.0.0/99"],
    ["RUNLAYER_BOOTSTRAP_KEY", "rl_org_short"],
    ["RUNLAYER_ALLOW_STDIO", "maybe"],
    ["RUNLAYER_STDIO_USER", "no-such-user-here"],
    ["RUNLAYER_LOG_LEVEL", "loud"],
    ["RUNLAYER_INSECURE_HTTP", "perhaps"],
  ])("%s", async (variable, value) => {
    const { code, err } = await runProgram(["serve"], { ...environment, [variable]: value });
    expect(code).toBe(2);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect(err).toContain(variable);
    expect(err).not.toContain("hunter");
  });
});

test("a port in use and a data directory in use are each one line", async () => {
  const first = await startProgram(environment);
  const samePort = await runProgram(["serve"], { ...environment, RUNLAYER_DATA_DIR: join(dataDir, "other") });
  expect([samePort.code, samePort.err]).toEqual([4, expect.stringMatching(/^runlayer: .*is in use[^\n]*\n$/)]);
  const sameData = await runProgram(["serve"], { ...environment, RUNLAYER_PORT: String(await freePort()) });
  expect([sameData.code, sameData.err.trim().split("\n").length]).toEqual([3, 1]);
  const keys = await runProgram(["keys", "create"], environment);
  expect([keys.code, keys.err]).toEqual([3, expect.stringContaining("RUNLAYER_URL")]);
  await first.stop();
});

const NOBODY = 65_534;
/** Root may write every file: there the program runs as somebody who may not, where that account can read the program. */
const isRoot = process.getuid?.() === 0;
const canDemote =
  !isRoot ||
  spawnSync(process.execPath, ["-e", `require("fs").accessSync("${PROGRAM}")`], { uid: NOBODY }).status === 0;

test.runIf(canDemote)("a database that may only be read is one line", async () => {
  const first = await startProgram(environment);
  await first.stop();
  const files = readdirSync(dataDir, { recursive: true, encoding: "utf8" }).map((name) => join(dataDir, name));
  if (isRoot) for (const file of [dataDir, ...files]) chownSync(file, NOBODY, NOBODY);
  const database = join(dataDir, "runlayer.db");
  if (isRoot) chownSync(database, 0, 0);
  chmodSync(database, 0o444);
  const account = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const { code, err } = await runProgram(["serve"], environment, account);
  expect([code, err]).toEqual([4, expect.stringMatching(/^runlayer: [^\n]*must be able to write[^\n]*\n$/)]);
});

test("somebody answers for a key that is made on the host", async () => {
  const first = await startProgram(environment);
  await first.stop();
  const key = (await runProgram(["keys", "create", "--name", "late"], environment)).out.trim();
  const again = await startProgram(environment);
  const answer = await fetch(`${again.url}/api/v1/api-keys`, { headers: { authorization: `Bearer ${key}` } });
  const { items } = Object(await answer.json());
  expect(items).toMatchObject([
    { name: "first-owner", member: { name: "First owner" } },
    { name: "late", member: { name: "First owner" } },
  ]);
  await again.stop();
});

test("makes a key on the host, and rotates the master key without invalidating it", async () => {
  // Compose files clear a variable by an empty value.
  const made = await runProgram(["keys", "create", "--name", "lost-mine"], { ...environment, RUNLAYER_URL: "" });
  const key = made.out.trim();
  const before = readFileSync(join(dataDir, "master.key"), "utf8");
  expect((await runProgram(["keys", "rotate-master"], environment)).code).toBe(0);
  expect(readFileSync(join(dataDir, "master.key"), "utf8")).not.toBe(before);
  expect(statSync(join(dataDir, "master.key")).mode & 0o777).toBe(0o600);
  const program = await startProgram(environment);
  expect((await get(program.url, key)).status).toBe(200);
  await program.stop();
});

test("refuses a database that is sealed under another master key, and says so in one line", async () => {
  await (await startProgram(environment)).stop();
  const other = { ...environment, RUNLAYER_MASTER_KEY: Buffer.alloc(32, 7).toString("base64") };
  const { code, err } = await runProgram(["serve"], other);
  expect(code).toBe(4);
  expect(err).toMatch(/^runlayer: [^\n]*another master key[^\n]*\n$/);
});
