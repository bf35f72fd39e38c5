import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { call, post } from "../gateway/client.ts";
import { plainServer, startUpstream } from "../gateway/upstream.ts";
import { at, freePort } from "../harness/app.ts";
import { startProgram, type RunningProgram } from "../harness/program.ts";

const ownerKey = `rl_org_${"h".repeat(40)}`;

async function rest(program: RunningProgram, route: string, body?: unknown): Promise<unknown> {
  const [method = "", path = ""] = route.split(" ");
  const headers = { authorization: `Bearer ${ownerKey}`, "content-type": "application/json" };
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  return (await fetch(`${program.url}/api/v1${path}`, init)).json();
}

test("a call that outlasts a shutdown is told that it was sent, and the log does not blame its client", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-stop-"));
  const called = Promise.withResolvers<void>();
  const upstream = await startUpstream((received) =>
    received.message.method === "tools/call" ? called.resolve() : plainServer(received),
  );
  const env = {
    RUNLAYER_DATA_DIR: dataDir,
    RUNLAYER_PORT: String(await freePort()),
    RUNLAYER_BOOTSTRAP_KEY: ownerKey,
  };
  let program = await startProgram(env);
  try {
    const server = { name: "s", transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
    await rest(program, "POST /servers", server);
    const { key } = Object(await rest(program, "POST /agents", { name: "a", type: "custom", servers: ["s"] }));
    const waiting = post(`${program.url}/gateway/s/mcp`, String(key), call(1, "slow"));
    await called.promise;
    const stopped = program.stop();
    const { status, text } = await waiting;
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ error: { code: "unavailable", data: { wasSent: true } } });
    expect((await stopped).code).toBe(0);
    program = await startProgram(env);
    const events = await rest(program, "GET /audit-events?action=tool.call");
    expect(at(events, "items")).toMatchObject([{ outcome: "error", reason: "unavailable" }]);
  } finally {
    await program.stop("SIGKILL");
    await upstream.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
