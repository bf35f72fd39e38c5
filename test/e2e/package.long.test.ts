import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../harness/app.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-package-"));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: ROOT });
  await run("npm", ["init", "--yes"], { cwd: folder });
  await run("npm", ["install", "--no-audit", "--no-fund", join(folder, "runlayer-0.1.0.tgz")], { cwd: folder });
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the packed program serves from node_modules, and its CLI reaches it", async () => {
  const port = await freePort();
  const program = join(folder, "node_modules/runlayer/bin/runlayer.js");
  const environment = { ...process.env, RUNLAYER_PORT: String(port), RUNLAYER_DATA_DIR: join(folder, "data") };
  const server = spawn(process.execPath, [program, "serve"], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const key = await new Promise<string>((found) => {
    let text = "";
    server.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const match = /rl_org_[a-z2-7]{39}/.exec(text);
      if (match !== null) found(match[0]);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const cli = { env: { ...process.env, RUNLAYER_URL: url, RUNLAYER_API_KEY: key } };
  const { stdout } = await run(process.execPath, [program, "organization", "get", "--json"], cli);
  expect(JSON.parse(stdout)).toMatchObject({ inventory: { members: 1 } });
  const exited = new Promise<number | null>((done) => server.on("exit", done));
  server.kill("SIGTERM");
  expect(await exited).toBe(0);
});

test("the package has the types that a skill's author imports", async () => {
  const installed = join(folder, "node_modules/runlayer");
  const { exports: entries } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  expect(existsSync(join(installed, entries["./skill"].types))).toBe(true);
});
