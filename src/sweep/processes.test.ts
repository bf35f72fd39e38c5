import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../../test/harness/app.ts";
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
    const http = start("streamableHttp", await freePort());
    const sse = start("sse", await freePort());
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

const ID = "3f29ab7c0d1e".padEnd(64, "5");

describe.runIf(process.platform === "linux")("a folder that stands for /proc", () => {
  let proc: string;
  beforeEach(async () => {
    proc = await mkdtemp(join(tmpdir(), "sweep-proc-"));
    await put("net/tcp", TABLE_HEAD);
  });
  afterEach(() => rm(proc, { recursive: true, force: true }));

  async function put(path: string, text: string): Promise<void> {
    await mkdir(join(proc, path, ".."), { recursive: true });
    await writeFile(join(proc, path), text);
  }

  async function putProcess(pid: number, argv: readonly string[], cgroup = "0::/user.slice\n"): Promise<void> {
    await put(`${String(pid)}/cmdline`, `${argv.join("\0")}\0`);
    await put(`${String(pid)}/stat`, `${String(pid)} (a) b) S 1 1 1`);
    await put(`${String(pid)}/cgroup`, cgroup);
    await mkdir(join(proc, String(pid), "fd"));
  }

  test.each([
    ["docker, cgroup 2", `0::/system.slice/docker-${ID}.scope`, "docker 3f29ab7c0d1e"],
    ["docker, cgroup 1", `12:cpuset:/docker/${ID}\n1:name=systemd:/docker/${ID}`, "docker 3f29ab7c0d1e"],
    ["podman", `0::/user.slice/user-1000.slice/libpod-${ID}.scope/container`, "podman 3f29ab7c0d1e"],
    ["cri-o", `0::/kubepods.slice/kubepods-pod1.slice/crio-${ID}.scope`, "cri-o 3f29ab7c0d1e"],
    ["containerd", `0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`, "containerd 3f29ab7c0d1e"],
    [
      "containerd in systemd",
      `0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:${ID}`,
      "containerd 3f29ab7c0d1e",
    ],
    ["kubernetes", `4:memory:/kubepods/besteffort/pod1-2/${ID}`, "kubernetes 3f29ab7c0d1e"],
    ["docker in docker", `0::/docker/${"a".repeat(64)}/docker/${ID}`, "docker 3f29ab7c0d1e"],
    ["another runtime", `0::/boxes/${ID}`, "container 3f29ab7c0d1e"],
    ["LXC", "0::/lxc.payload.build-box/system.slice", "lxc build-box"],
    ["systemd-nspawn", "0::/machine.slice/systemd-nspawn@debian.service/payload", "systemd-nspawn debian"],
    ["no container", "0::/user.slice/user-1000.slice/session-2.scope", undefined],
    ["the service of a runtime", "0::/system.slice/docker.service", undefined],
    ["a longer number", `0::/docker/${ID}0`, undefined],
    ["a control character", "0::/lxc/\u001b]0;x", undefined],
    ["nothing", "", undefined],
  ])("tells the container of a process: %s", async (_what, cgroup, container) => {
    await putProcess(4242, ["npx", "@acme/mcp"], cgroup);
    const { servers } = await readProcesses({ procFolder: proc });
    expect(servers).toMatchObject([{ pid: 4242 }]);
    expect(servers[0]?.container).toBe(container);
  });

  test("reads no more of a process than its beginning", async () => {
    await putProcess(4242, ["npx", "@acme/mcp", "x".repeat(10_000_000)]);
    const { servers } = await readProcesses({ procFolder: proc });
    expect(servers[0]?.args.join().length).toBeLessThan(100_000);
  });

  test("says where each socket leads, of both kinds of addresses", async () => {
    const v4 = [row("0100007F:FFF0", "11"), row("00000000:FFF1", "12"), row("00000000:FFF2", "13", "01")];
    const v6 = [row("00000000000000000000000001000000:FFF3", "14"), row("0000000000000000FFFF00000100007F:FFF4", "15")];
    await put("net/tcp", TABLE_HEAD + v4.join(""));
    await put("net/tcp6", TABLE_HEAD + v6.join(""));
    await putProcess(4242, ["npx", "@acme/mcp"]);
    for (const inode of [11, 12, 13, 14, 15])
      await symlink(`socket:[${String(inode)}]`, join(proc, `4242/fd/${String(inode)}`));
    const { servers, coverage } = await readProcesses({ procFolder: proc });
    expect(servers).toMatchObject([{ pid: 4242, port: 65520 }]);
    const places = servers[0]?.listensAt ?? [];
    expect(places).toEqual(
      expect.arrayContaining([
        "localhost:65520",
        "127.0.0.1:65520",
        "127.0.0.1:65521",
        "::1:65523",
        "localhost:65523",
        "127.0.0.1:65524",
      ]),
    );
    expect(places.filter((place) => /:(?:65520|65523|65524|65522)$/.test(place))).toHaveLength(6);
    expect(coverage).toMatchObject([
      { target: "processes", status: "read" },
      { target: "ports", status: "read" },
    ]);
  });

  test.each([
    ["its page", "<html><title>OpenClaw Control</title>", { installs: [{ client: "openclaw", isRunning: true }] }],
    ["a protected resource", "", { installs: [], servers: [{ name: "protected server", port: 18_789 }] }],
  ])("tells an agent by its port, whatever its process is called: %s", async (_what, page, expected) => {
    const resource = 'Bearer resource_metadata="http://x/.well-known/oauth-protected-resource"';
    const server = createServer((_request, response) => {
      if (page === "") response.writeHead(401, { "www-authenticate": resource }).end();
      else response.end(page);
    });
    await new Promise<void>((resolve) => server.listen(18_789, "127.0.0.77", resolve));
    try {
      await put("net/tcp", TABLE_HEAD + row("4D00007F:4965", "11"));
      expect(await readProcesses({ procFolder: proc })).toMatchObject(expected);
    } finally {
      server.close();
    }
  });

  test("says that ports were not read where the kernel shows none", async () => {
    await rm(join(proc, "net/tcp"));
    await putProcess(4242, ["npx", "@acme/mcp"]);
    const { servers, coverage } = await readProcesses({ procFolder: proc });
    expect(servers).toHaveLength(1);
    expect(coverage).toMatchObject([
      { target: "processes", status: "read" },
      { target: "ports", status: "skipped", reason: expect.stringContaining("not read") },
    ]);
  });
});

const TABLE_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

function row(address: string, inode: string, state = "0A"): string {
  return `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1\n`;
}
