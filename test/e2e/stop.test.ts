import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect, test } from "vitest";
import { listen } from "../fixtures/mcp/http-servers.ts";
import { freePort } from "../harness/app.ts";
import { startProgram } from "../harness/program.ts";

const ownerKey = `rl_org_${"g".repeat(40)}`;
const requestInit = { headers: { authorization: `Bearer ${ownerKey}` } };

async function connect(url: URL, mode: "legacy" | { pin: string }) {
  const transport = new StreamableHTTPClientTransport(url, { requestInit });
  const client = new Client({ name: "stop-test", version: "1" }, { versionNegotiation: { mode } });
  await client.connect(transport);
  return { client, transport };
}

test("SIGTERM ends streams at once and lets calls on `/mcp` finish, in every era", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-stop-"));
  const released = Promise.withResolvers<void>();
  let contacts = 0;
  const upstream = await listen((_request, response) => {
    contacts += 1;
    void released.promise.then(() => response.writeHead(404).end());
  });
  const program = await startProgram({
    RUNLAYER_DATA_DIR: dataDir,
    RUNLAYER_PORT: String(await freePort()),
    RUNLAYER_BOOTSTRAP_KEY: ownerKey,
  });
  try {
    const url = new URL(`${program.url}/mcp`);
    const legacy = await connect(url, "legacy");
    const modern = await connect(url, { pin: "2026-07-28" });
    const register = ({ client }: typeof legacy, name: string) => {
      const server = { name, transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
      return client.callTool({ name: "create_mcp_server", arguments: server });
    };
    const streamCut = new Promise((resolve) => (legacy.client.onerror = resolve));
    const calls = [register(legacy, "by-legacy"), register(modern, "by-modern")];
    // Both calls wait for the server that they register.
    while (contacts < calls.length) await sleep(10);
    const stopped = program.stop();
    // The client's stream for news.
    await streamCut;
    released.resolve();
    const answers = await Promise.all(calls);
    expect(answers.map(({ structuredContent }) => structuredContent)).toMatchObject([
      { server: { name: "by-legacy" }, discovery: { state: "not_mcp" } },
      { server: { name: "by-modern" }, discovery: { state: "not_mcp" } },
    ]);
    expect((await stopped).code).toBe(0);
  } finally {
    await program.stop("SIGKILL");
    await upstream.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
