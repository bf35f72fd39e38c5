import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { expandTargets, scanNetwork } from "../../src/sweep/network-scan.ts";
import { listen as startListening, startLegacyServer } from "../../test/fixtures/mcp/http-servers.ts";
import { check } from "./report.ts";

/*
 * A /24 of loopback addresses, 16 ports each. On most of them nobody listens; a real MCP server and a web server that is none answer
 * on all addresses, one that never answers on every fourth.
 */

const NETWORK = "127.9.9.0/24";
const CLOSED_PORTS = Array.from({ length: 13 }, (_item, index) => 18_100 + index);
const MUTE_PORT = 18_200;

const mcp = await startLegacyServer({ host: "0.0.0.0" });
const web = await startListening((_request, response) => response.end("<h1>hello</h1>"), { host: "0.0.0.0" });
const addresses = await expandTargets({ networks: [NETWORK] });
const mute = await Promise.all(
  addresses.filter((_address, index) => index % 4 === 0).map((address) => stayMute(address)),
);
const ports = [...CLOSED_PORTS, mcp.port, web.port, MUTE_PORT];
const startedAt = performance.now();
const facts = await scanNetwork({ networks: addresses, ports }, AbortSignal.timeout(600_000));
check("a /24 on 16 ports, s", (performance.now() - startedAt) / 1000, { atMost: 60 });
check("MCP servers found there", facts.servers.length, { atLeast: addresses.length, atMost: addresses.length });
check("most memory, MB", process.resourceUsage().maxRSS / 1024);
for (const server of [mcp, web]) await server.close();
for (const server of mute) server.close().closeAllConnections();

async function stayMute(host: string): Promise<Server> {
  const server = createServer(() => undefined);
  await once(server.listen(MUTE_PORT, host), "listening");
  return server;
}
