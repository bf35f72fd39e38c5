import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseConfig } from "../../src/app/config.ts";
import { createKeyOnHost } from "../../src/app/host-keys.ts";
import { serve } from "../../src/app/serve.ts";
import { startApp } from "../../src/app/start-app.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { freePort } from "../harness/app.ts";
import { runProgram, startProgram } from "../harness/program.ts";

let dataDir: string;
let environment: Record<string, string>;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "runlayer-start-"));
  environment = { RUNLAYER_DATA_DIR: dataDir, RUNLAYER_PORT: String(await freePort()) };
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const get = async (url: string, key = "") =>
  fetch(`${url}/api/v1/organization`, { headers: { authorization: `Bearer ${key}` } });

test("prints the first key once, with the line to paste, and ends with 0 on SIGTERM", async () => {
  const first = await startProgram(environment);
  const key = /rl_org_[a-z2-7]{39}/.exec(first.output().out)?.[0] ?? "";
  expect(first.output().out).toContain(`claude mcp add --transport http runlayer ${first.url}/mcp`);
  expect((await get(first.url, key)).status).toBe(200);
  for (const path of ["/healthz", "/readyz", "/metrics"]) expect((await fetch(first.url + path)).status).toBe(200);
  const ended = await first.stop();
  expect(ended.code).toBe(0);
  expect(ended.err).not.toContain(key);
  const second = await startProgram(environment);
  expect(second.output().out).not.toMatch(/rl_org_/);
  expect((await get(second.url, key)).status).toBe(200);
  await second.stop();
});

/** Serves in this process. */
const start = (write: (text: string) => void) =>
  serve(parseConfig({ ...environment, RUNLAYER_LOG_LEVEL: "silent" }, dataDir), { write });

test("a start that cannot have its port leaves the first key to the next one", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(Number(environment["RUNLAYER_PORT"]), "127.0.0.1", resolve));
  const said: string[] = [];
  await expect(start((text) => void said.push(text))).rejects.toMatchObject({ code: "unavailable" });
  expect(said).toEqual([]);
  await new Promise((resolve) => taken.close(resolve));
  await start((text) => {
    said.push(text);
    process.emit("SIGTERM");
  });
  expect(said.join("")).toMatch(/rl_org_[a-z2-7]{39}/);
});

test("has no key and serves nothing until it is opened", async () => {
  const config = parseConfig(environment, dataDir);
  const logger = pino({ level: "silent" });
  const ended = await startApp(config, { logger });
  for (const path of ["/healthz", "/readyz", "/api/v1/organization"])
    expect((await fetch(ended.url + path)).status).toBe(503);
  await ended.close();
  const app = await startApp(config, { logger });
  const key = await app.open();
  expect((await get(app.url, key)).status).toBe(200);
  await app.close();
});

test("a key given by environment is never printed", async () => {
  const key = `rl_org_${"s".repeat(40)}`;
  const program = await startProgram({ ...environment, RUNLAYER_BOOTSTRAP_KEY: key });
  expect((await get(program.url, key)).status).toBe(200);
  const { out, err } = await program.stop();
  expect(out + err).not.toContain(key);
  const other = await runProgram(["serve"], { ...environment, RUNLAYER_BOOTSTRAP_KEY: `rl_org_${"t".repeat(40)}` });
  expect([other.code, other.err]).toEqual([2, expect.stringContaining("RUNLAYER_BOOTSTRAP_KEY: differs")]);
});

test("gives its figures to who reads only, where a proxy brings others to it", async () => {
  const key = `rl_org_${"s".repeat(40)}`;
  const proxied = { RUNLAYER_PUBLIC_URL: "https://runlayer.example.com", RUNLAYER_BOOTSTRAP_KEY: key };
  const program = await startProgram({ ...environment, ...proxied });
  const url = `http://127.0.0.1:${environment["RUNLAYER_PORT"]}`;
  const ask = (path: string, secret?: string) =>
    fetch(url + path, { headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` } });
  const keyOf = async (role: string) => {
    const made = await fetch(`${url}/api/v1/api-keys`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ name: `as-${role}`, role }),
    });
    return String(Object(await made.json()).secret);
  };
  expect((await ask("/metrics")).status).toBe(401);
  expect((await ask("/metrics", await keyOf("member"))).status).toBe(403);
  expect((await ask("/metrics", await keyOf("auditor"))).status).toBe(200);
  for (const path of ["/healthz", "/readyz"]) expect((await ask(path)).status).toBe(200);
  await program.stop();
});

test("refuses a data directory that is a file, or below one, or cannot be made", async () => {
  const file = join(dataDir, "file");
  writeFileSync(file, "");
  const open = (folder: string) => openStore({ dataDir: folder, clock: systemClock });
  for (const folder of [file, join(file, "below")])
    await expect(open(folder)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining(`\`${file}\` is not a folder`),
    });
  const names = { code: "unavailable", message: expect.stringContaining("RUNLAYER_DATA_DIR") };
  if (process.platform === "linux") await expect(open("/proc/foo")).rejects.toMatchObject(names);
  writeFileSync(join(dataDir, "runlayer.db"), "damaged".repeat(1000));
  await expect(open(dataDir)).rejects.toMatchObject(names);
});

test("a master key file that is gone is named, and no other one takes its place", async () => {
  const config = parseConfig({}, dataDir);
  await createKeyOnHost(config, "host");
  const file = join(dataDir, "master.key");
  rmSync(file);
  const gone = { code: "unavailable", message: expect.stringContaining(`no master key file \`${file}\``) };
  await expect(start(() => undefined)).rejects.toMatchObject(gone);
  await expect(createKeyOnHost(config, "again")).rejects.toMatchObject(gone);
  expect(existsSync(file)).toBe(false);
});

test("a key made on the host of a new installation is its only one", async () => {
  const config = parseConfig({}, dataDir);
  await createKeyOnHost(config, "host");
  const store = await openStore({ ...config, clock: systemClock });
  const keys = await store.read(({ apiKeys }) => apiKeys.list({ now: 0 }, { limit: 10 }));
  expect(keys.items).toMatchObject([{ name: "host", role: "owner", memberId: expect.any(String) }]);
  await store.close();
});
