import type { LookupAddress } from "node:dns";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { AppError } from "../errors.ts";
import { createEgress, type Egress } from "./egress.ts";
import type { OwnListener } from "./own-listeners.ts";
import { requestText } from "./request.ts";

let server: Server;
let port = 0;
let requests = 0;
const opened: Egress[] = [];
const LIMITS = { timeoutMs: 2000, responseBytesMax: 1000 };

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    if (request.url === "/redirect") response.writeHead(302, { location: "http://169.254.169.254/" }).end();
    else if (request.url === "/hang") return;
    else if (request.url === "/drip") setInterval(() => response.write("x"), 50).unref();
    else if (request.url === "/large") response.end("x".repeat(100_000));
    else if (request.url === "/head") response.writeHead(200, { "x-large": "y".repeat(100_000) }).end();
    else response.end("hello");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = portOfServer();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((egress) => egress.close()));
  requests = 0;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function portOfServer(): number {
  const address: AddressInfo | string | null = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Setup {
  readonly names?: Readonly<Record<string, readonly string[]>>;
  readonly own?: readonly OwnListener[];
}

function open({ names = {}, own = [] }: Setup = {}): Egress & { readonly asked: string[] } {
  const asked: string[] = [];
  const egress = createEgress({
    ownListeners: () => own,
    resolveName: async (host) => {
      asked.push(host);
      const addresses = names[host];
      if (addresses === undefined) throw Object.assign(new Error("not found"), { code: "ENOTFOUND" });
      return addresses.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 }));
    },
  });
  opened.push(egress);
  return { ...egress, asked };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "ok";
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
}

test("reaches a name whose addresses are all allowed", async () => {
  const egress = open({ names: { "mcp.test": ["127.0.0.1"] } });
  const answer = await requestText(egress, `http://mcp.test:${port}/`, { allowPrivateNetwork: true, ...LIMITS });
  expect(answer).toMatchObject({ status: 200, body: "hello" });
});

test.each([
  ["one private address among public ones", ["8.8.8.8", "127.0.0.1"]],
  ["loopback only", ["127.0.0.1"]],
  ["IPv4-mapped loopback", ["::ffff:127.0.0.1"]],
])("refuses a public name with %s", async (_title, addresses) => {
  const egress = open({ names: { "rebind.test": addresses } });
  const attempt = requestText(egress, `http://rebind.test:${port}/`, { allowPrivateNetwork: false, ...LIMITS });
  expect(await codeOf(attempt)).toBe("invalid_input");
  expect(requests).toBe(0);
});

test("refuses a name of a metadata address even where private networks are allowed", async () => {
  const egress = open({ names: { "meta.test": ["127.0.0.1", "169.254.169.254"] } });
  const attempt = requestText(egress, `http://meta.test:${port}/`, { allowPrivateNetwork: true, ...LIMITS });
  expect(await codeOf(attempt)).toBe("invalid_input");
  expect(requests).toBe(0);
});

test("a name that changes its answer after the check is checked again at the connection", async () => {
  let answers: readonly LookupAddress[] = [{ address: "8.8.8.8", family: 4 }];
  const egress = createEgress({ ownListeners: () => [], resolveName: async () => answers });
  opened.push(egress);
  const url = await egress.checkResolved(`http://rebind.test:${port}/`, { allowPrivateNetwork: false });
  answers = [{ address: "127.0.0.1", family: 4 }];
  expect(await codeOf(requestText(egress, url, { allowPrivateNetwork: false, ...LIMITS }))).toBe("invalid_input");
  expect(requests).toBe(0);
});

test("resolves once per connection and keeps connections for later requests", async () => {
  let connections = 0;
  server.on("connection", () => (connections += 1));
  const egress = open({ names: { "mcp.test": ["127.0.0.1"] } });
  for (let round = 0; round < 10; round += 1) {
    await requestText(egress, `http://mcp.test:${port}/`, { allowPrivateNetwork: true, ...LIMITS });
  }
  expect(egress.asked).toHaveLength(connections);
  expect(connections).toBeLessThan(5);
});

test("a connection opened for private networks is not reused where they are not allowed", async () => {
  const egress = open({ names: { "mcp.test": ["127.0.0.1"] } });
  const url = `http://mcp.test:${port}/`;
  expect(await codeOf(requestText(egress, url, { allowPrivateNetwork: true, ...LIMITS }))).toBe("ok");
  expect(await codeOf(requestText(egress, url, { allowPrivateNetwork: false, ...LIMITS }))).toBe("invalid_input");
  expect(requests).toBe(1);
});

test("refuses our own listener behind any name that resolves to it", async () => {
  const egress = open({ names: { "self.test": ["127.0.0.1"] }, own: [{ host: "0.0.0.0", port }] });
  const attempt = requestText(egress, `http://self.test:${port}/`, { allowPrivateNetwork: true, ...LIMITS });
  expect(await codeOf(attempt)).toBe("invalid_input");
  expect(requests).toBe(0);
});

test("checkResolved lets an unknown name pass, because nothing is reached", async () => {
  const egress = open();
  const url = await egress.checkResolved("https://gone.test/mcp", { allowPrivateNetwork: false });
  expect(url.host).toBe("gone.test");
  expect(await codeOf(requestText(egress, url, { allowPrivateNetwork: false, ...LIMITS }))).toBe("upstream_error");
});

test("does not follow a redirect", async () => {
  const egress = open();
  const answer = await requestText(egress, `http://127.0.0.1:${port}/redirect`, {
    allowPrivateNetwork: true,
    ...LIMITS,
  });
  expect(answer.status).toBe(302);
  expect(requests).toBe(1);
});

test.each([
  ["/hang", "timeout"],
  ["/drip", "timeout"],
  ["/large", "upstream_error"],
  ["/head", "upstream_error"],
])("%s ends with %s within its time", async (path, code) => {
  const egress = open();
  const startedAt = performance.now();
  const request = { allowPrivateNetwork: true, timeoutMs: 500, responseBytesMax: 1000 };
  expect(await codeOf(requestText(egress, `http://127.0.0.1:${port}${path}`, request))).toBe(code);
  expect(performance.now() - startedAt).toBeLessThan(2000);
});
