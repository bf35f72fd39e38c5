import { resolve } from "node:path";
import { networkConnections } from "systeminformation";
import { afterEach, expect, test } from "vitest";
import { type Child, startChild } from "../../demo/children.ts";
import { freePort } from "../../test/harness/app.ts";
import { toListening } from "./listening-sockets.ts";

const ENTRY = resolve(import.meta.dirname, "../../node_modules/@modelcontextprotocol/server-everything/dist/index.js");

let child: Child | undefined;
afterEach(() => child?.stop());

function connection(protocol: string, local: string, given: { readonly state?: string; readonly pid?: number } = {}) {
  const at = local.lastIndexOf(":");
  const [localAddress, localPort] = [local.slice(0, at), local.slice(at + 1)];
  return { protocol, localAddress, localPort, state: "LISTEN", pid: 7, ...given };
}

test("takes a real server from what systeminformation tells", async () => {
  const port = await freePort();
  const env = { PORT: String(port) };
  child = await startChild({ args: [ENTRY, "streamableHttp"], env, readyLine: "listening on port" });
  const { sockets, coverage } = toListening(await networkConnections(), [child.pid]);
  expect(coverage).toEqual({ status: "read" });
  expect(sockets.filter((socket) => socket.port === port)).toEqual([{ address: "::", port, pids: [child.pid] }]);
});

test.each([
  ["macOS, all addresses", connection("tcp4", "*:8080"), "0.0.0.0"],
  ["macOS, all of both kinds", connection("tcp46", "*:8080"), "::"],
  ["macOS, loopback", connection("tcp4", "127.0.0.1:8080"), "127.0.0.1"],
  ["macOS, with its interface", connection("tcp6", "fe80::1%lo0:8080"), "fe80::1"],
  ["Windows, all addresses", connection("tcp", "0.0.0.0:8080"), "0.0.0.0"],
  ["Windows, all of IPv6", connection("tcp", ":::8080"), "::"],
  ["IPv4 written as IPv6", connection("tcp6", "::ffff:127.0.0.1:8080"), "127.0.0.1"],
])("reads a line of %s", (_what, line, address) => {
  expect(toListening([line], [7, 8])).toEqual({
    sockets: [{ address, port: 8080, pids: [7] }],
    coverage: { status: "read" },
  });
});

test.each([
  ["a connection", connection("tcp4", "127.0.0.1:8080", { state: "ESTABLISHED" })],
  ["another protocol", connection("udp4", "*:8080")],
  ["no address", connection("tcp4", "nowhere:8080")],
  ["no port", connection("tcp4", "*:*")],
  ["a port that there is not", connection("tcp4", "*:65536")],
])("takes nothing from %s", (_what, line) => {
  expect(toListening([line], [7]).sockets).toEqual([]);
});

test.each([
  ["nothing", []],
  ["no process", [connection("tcp4", "*:8080", { pid: Number.NaN })]],
])("says that ports were not read where the system tells %s", (_what, lines) => {
  const { coverage } = toListening(lines, [7]);
  expect(coverage).toMatchObject({ status: "skipped", reason: expect.stringContaining("not read") });
});
