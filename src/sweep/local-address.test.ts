import { expect, test } from "vitest";
import type { ListeningSocket } from "./listening-sockets.ts";
import { reachedAt } from "./local-address.ts";

const HOSTS = ["box", "10.0.0.5", "192.168.7.5", "fd00::5"];

const socket = (address: string, pid = 1): ListeningSocket => ({ address, port: 3000, pids: [pid] });

/** Whether who connects to the name of the machine reaches this socket and no other. */
function isReachedByName(first: ListeningSocket, ...others: readonly ListeningSocket[]): boolean {
  return reachedAt(first, [...others, first], HOSTS).includes("box:3000");
}

test.each([
  ["alone at all addresses", [socket("::")]],
  ["alone at one address", [socket("10.0.0.5")]],
  ["beside one at loopback", [socket("0.0.0.0"), socket("127.0.0.1", 2)]],
  ["with another socket of its own", [socket("0.0.0.0"), socket("::")]],
])("a socket has the name of its machine: %s", (_what, [first = socket("::"), ...others]) => {
  expect(isReachedByName(first, ...others)).toBe(true);
});

test("a machine without IPv6 is reached by name where all its addresses are, whoever listens on IPv6", () => {
  const server = socket("0.0.0.0");
  expect(reachedAt(server, [server, socket("::", 2)], ["box", "10.0.0.5"])).toContain("box:3000");
});

test.each([
  ["an address of IPv6", socket("fd00::5", 2), socket("10.0.0.5")],
  ["all addresses of IPv6", socket("::", 2), socket("0.0.0.0")],
  ["another address", socket("192.168.7.5", 2), socket("10.0.0.5")],
  ["one address, before who has all", socket("192.168.7.5", 2), socket("0.0.0.0")],
  ["a socket whose holder may not be seen", { ...socket("fd00::5"), pids: [] }, { ...socket("10.0.0.5"), pids: [] }],
  ["loopback", socket("127.0.0.1", 2), socket("10.0.0.5")],
])("a socket does not pass for the server that the name leads to by listening at %s", (_what, other, server) => {
  expect(isReachedByName(other, server)).toBe(false);
});
