import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { readProcesses } from "./processes.ts";

const EVERYTHING = resolve(
  import.meta.dirname,
  "../../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
);

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

function start(mode: string, port: number): ChildProcess {
  const child = spawn(process.execPath, [EVERYTHING, mode], {
    env: { ...process.env, PORT: String(port) },
    stdio: ["pipe", "ignore", "ignore"],
  });
  children.push(child);
  return child;
}

test.runIf(process.platform === "linux")(
  "finds the real reference server running over stdio, HTTP and SSE",
  async () => {
    const stdio = start("stdio", 0);
    const http = start("streamableHttp", 45_871);
    const sse = start("sse", 45_872);
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const { servers } = await readProcesses();
      const own = servers.filter(({ pid }) => pid === stdio.pid || pid === http.pid || pid === sse.pid);
      const byPid = new Map(own.map((server) => [server.pid, server]));
      if (byPid.get(http.pid)?.source === "port" && byPid.get(sse.pid)?.source === "port") {
        expect(own).toHaveLength(3);
        expect(byPid.get(stdio.pid)).toMatchObject({
          source: "process",
          transport: "stdio",
          name: "server-everything",
        });
        expect(byPid.get(http.pid)).toMatchObject({ transport: "http" });
        expect(byPid.get(sse.pid)).toMatchObject({ transport: "sse" });
        return;
      }
      await sleep(250);
    }
    expect.unreachable("the servers were not found by their ports");
  },
  30_000,
);

test.runIf(process.platform === "linux")("takes no ordinary process for a server", async () => {
  const child = spawn("sleep", ["30"]);
  children.push(child);
  const { servers } = await readProcesses();
  expect(servers.filter(({ pid }) => pid === child.pid)).toEqual([]);
});
