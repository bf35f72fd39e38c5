import { createServer as createSecureServer } from "node:https";
import { connect, createServer as createNetServer, type Server as NetServer } from "node:net";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { makeCertificate } from "../../test/fixtures/tls/certificate.ts";
import { EMPTY_REGISTRY } from "./match.ts";
import { scanNetwork } from "./network-scan.ts";
import { probePort } from "./probe-port.ts";
import { REQUESTS_MAX } from "./probe-request.ts";
import { runScan } from "./run-scan.ts";

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  servers.push(server);
  return portOf(server);
}

async function portOf(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function bodyOf(request: IncomingMessage): Promise<{ id?: number; method?: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return JSON.parse(Buffer.concat(chunks).toString() || "{}");
}

function answer(response: ServerResponse, message: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(message));
}

/** A session-keeping server of the legacy era that writes down what reached it. */
function legacyServer(seen: string[], needsKey = false, protocolVersion = "2025-06-18"): RequestListener {
  return (request, response) => {
    void bodyOf(request).then(({ id, method }) => {
      seen.push(`${request.method ?? ""} ${method ?? ""} ${request.headers.authorization ?? ""}`.trim());
      if (request.url !== "/mcp") response.writeHead(404).end();
      else if (method === "initialize") {
        const result = { protocolVersion, capabilities: {}, serverInfo: { name: "plain", version: "1" } };
        answer(response, { jsonrpc: "2.0", id, result }, { "mcp-session-id": "s1" });
      } else if (method === "tools/list" && !needsKey) {
        answer(response, { jsonrpc: "2.0", id, result: { tools: [{ name: "delete_all" }] } });
      } else if (method === "tools/list")
        answer(response, { jsonrpc: "2.0", id, error: { code: -32001, message: "no" } });
      else response.writeHead(202).end();
    });
  };
}

test("finds an open server by initialize, lists its tools once and ends the session", async () => {
  const seen: string[] = [];
  const port = await listen(legacyServer(seen));
  expect(await probePort({ host: "127.0.0.1", port })).toEqual({
    kind: "mcp",
    url: `http://127.0.0.1:${String(port)}/mcp`,
    transport: "http",
    name: "plain",
    isOpen: true,
    toolNames: ["delete_all"],
  });
  expect(seen).toEqual(["POST initialize", "POST notifications/initialized", "POST tools/list", "DELETE"]);
});

test("does not call a server open that refuses its tools", async () => {
  const port = await listen(legacyServer([], true));
  expect(await probePort({ host: "127.0.0.1", port })).toMatchObject({ kind: "mcp", isOpen: false });
});

test.each(["2025-06-18\r\nx: y", "\u0000", "€", "\ud800", ""])(
  "a version that is none (%j) ends no scan: the server is told of",
  async (version) => {
    const seen: string[] = [];
    const port = await listen(legacyServer(seen, false, version));
    const { servers: found } = await scanNetwork({ networks: ["127.0.0.1"], ports: [port] });
    expect(found).toMatchObject([{ name: "plain", probe: { isOpen: true } }]);
    expect(seen).toEqual(["POST initialize", "POST notifications/initialized", "POST tools/list", "DELETE"]);
  },
);

test("an answer that switches protocols is no answer", async () => {
  const port = await listen((_request, response) => {
    response.socket?.end("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
  });
  expect(await probePort({ host: "127.0.0.1", port })).toBeUndefined();
});

test("speaks TLS on any port that refuses the first request without it", async () => {
  const tls = makeCertificate({ organization: "Acme", commonName: "localhost" });
  const secure = createSecureServer(tls, legacyServer([]));
  const securePort = await portOf(secure);
  // Go's servers answer in plain text.
  const talking = createNetServer((socket) => {
    socket.once("data", (data) => {
      if (data.toString().startsWith("POST"))
        socket.end("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
      else {
        const behind = connect(securePort, "127.0.0.1");
        behind.write(data);
        socket.pipe(behind).pipe(socket);
      }
    });
  });
  for (const port of [securePort, await portOf(talking)]) {
    const url = `https://127.0.0.1:${String(port)}/mcp`;
    expect(await probePort({ host: "127.0.0.1", port }), url).toMatchObject({ kind: "mcp", url });
  }
  secure.close();
  talking.close();
});

test("finds a server of the stateless era", async () => {
  const port = await listen((request, response) => {
    void bodyOf(request).then(({ id, method }) => {
      if (method === "server/discover") {
        answer(response, {
          jsonrpc: "2.0",
          id,
          result: { supportedVersions: ["2026-07-28"], serverInfo: { name: "modern" } },
        });
      } else if (method === "tools/list") answer(response, { jsonrpc: "2.0", id, result: { tools: [] } });
      else answer(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown method" } });
    });
  });
  expect(await probePort({ host: "127.0.0.1", port })).toMatchObject({ kind: "mcp", name: "modern", isOpen: true });
});

test("knows a protected server, an SSE server and the agents' pages", async () => {
  const resource = 'Bearer resource_metadata="http://x/.well-known/oauth-protected-resource"';
  const guarded = await listen((_request, response) => response.writeHead(401, { "www-authenticate": resource }).end());
  const sse = await listen((request, response) => {
    if (request.method !== "GET" || request.url !== "/sse") return response.writeHead(404).end();
    return response
      .writeHead(200, { "content-type": "text/event-stream" })
      .write("event: endpoint\ndata: /messages?session=1\n\n");
  });
  const claw = await listen((_request, response) => response.end("<html><title>OpenClaw Control</title>"));
  const hermes = await listen((_request, response) => response.writeHead(200, { server: "HermesWebUI/0.9" }).end("x"));
  expect(await probePort({ host: "127.0.0.1", port: guarded })).toMatchObject({ kind: "protected" });
  expect(await probePort({ host: "127.0.0.1", port: sse })).toMatchObject({ kind: "mcp", transport: "sse" });
  expect(await probePort({ host: "127.0.0.1", port: claw })).toMatchObject({ kind: "agent", client: "openclaw" });
  expect(await probePort({ host: "127.0.0.1", port: hermes })).toMatchObject({ kind: "agent", client: "hermes" });
});

test("stays within its requests, follows no redirect, and invents nothing", async () => {
  let requests = 0;
  let strayed = 0;
  const elsewhere = await listen((_request, response) => {
    strayed += 1;
    response.end();
  });
  const port = await listen((_request, response) => {
    requests += 1;
    response.writeHead(307, { location: `http://127.0.0.1:${String(elsewhere)}/mcp` }).end();
  });
  expect(await probePort({ host: "127.0.0.1", port })).toBeUndefined();
  expect(strayed).toBe(0);
  expect(requests).toBeLessThanOrEqual(REQUESTS_MAX);
});

test("bounds endless streams, gzip bombs and silence", async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  const endless = await listen((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write(`: ${"x".repeat(10_000)}\n`), 5);
    request.on("close", () => clearInterval(timer));
  });
  const zipped = await listen((_request, response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end(bomb),
  );
  const silent = await listen(() => undefined);
  const startedAt = performance.now();
  const answers = await Promise.all([endless, zipped, silent].map((port) => probePort({ host: "127.0.0.1", port })));
  expect(answers).toEqual([undefined, undefined, undefined]);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});

test.each([
  ["8.8.8.8", "invalid_input"],
  ["10.0.0.0/8", "limit_exceeded"],
  ["not a host", "invalid_input"],
  ["10.0.0.0/99", "invalid_input"],
])("refuses %s before the first packet", async (network, code) => {
  await expect(scanNetwork({ networks: [network], ports: [1] })).rejects.toMatchObject({ code });
});

test("a declared range gives a finding that registers the server, and sends no credential", async () => {
  const seen: string[] = [];
  const port = await listen(legacyServer(seen));
  const answered = await runScan({
    paths: [],
    includeProcesses: false,
    network: { networks: ["127.0.0.0/30"], ports: [port] },
    registry: EMPTY_REGISTRY,
    hashKey: "k",
  });
  const shadow = answered.findings.find((finding) => finding.code === "SHADOW-SERVER");
  expect(shadow?.fix).toMatchObject({
    kind: "register",
    url: `http://127.0.0.1:${String(port)}/mcp`,
    allowPrivateNetwork: true,
  });
  expect(answered.coverage).toMatchObject([{ target: "network", status: "read" }]);
  expect(seen.filter((line) => line.includes("Bearer"))).toEqual([]);
});

test("probes a /24 on sixteen silent ports in time", async () => {
  const ports = Array.from({ length: 16 }, (_item, index) => 40_001 + index);
  const startedAt = performance.now();
  await scanNetwork({ networks: ["127.0.1.0/24"], ports });
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});
