import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { parseIpRange } from "../lib/ip.ts";
import { startHttpServer, type Handler, type HttpServer } from "./http-server.ts";

const running: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close(0)));
});

async function start(
  handlers: Readonly<Record<string, Handler>>,
  port = 0,
): Promise<HttpServer & { readonly url: string }> {
  const server = await startHttpServer({
    host: "127.0.0.1",
    port,
    publicUrl: "http://127.0.0.1:7420",
    trustedProxies: [parseIpRange("10.0.0.0/8")].filter((range) => range !== undefined),
    handlers,
    reportError: () => {},
  });
  running.push(server);
  server.open();
  return { ...server, url: `http://127.0.0.1:${server.port}` };
}

const says =
  (text: string): Handler =>
  (_request, response) =>
    void response.end(text);

test("routes by the longest path that fits, whole segments only", async () => {
  const { url } = await start({ "/healthz": says("alive"), "/gateway/": says("gateway"), "/gateway/x/": says("x") });
  const get = async (path: string) => (await fetch(`${url}${path}`)).text();
  expect(await get("/healthz?x")).toBe("alive");
  expect(await get("/gateway/a/mcp")).toBe("gateway");
  expect(await get("/gateway/x/mcp")).toBe("x");
  expect((await fetch(`${url}/healthzz`)).status).toBe(404);
  expect((await fetch(`${url}/toString`)).status).toBe(404);
});

test("finishes a request in flight when it closes, and accepts no new one", async () => {
  let finish: (() => void) | undefined;
  const { url, close } = await start({
    "/slow": (_request, response) => {
      finish = () => void response.end("done");
      response.writeHead(200).write("begun ");
    },
  });
  const response = await fetch(`${url}/slow`);
  const closing = close(5_000);
  await expect(fetch(`${url}/slow`)).rejects.toThrow();
  const finishedAt = Date.now();
  finish?.();
  expect(await response.text()).toBe("begun done");
  await closing;
  expect(Date.now() - finishedAt).toBeLessThan(2_000);
});

test("cuts what does not finish in time", async () => {
  const { url, close } = await start({ "/stream": (_request, response) => void response.writeHead(200).write("x") });
  const response = await fetch(`${url}/stream`);
  const startedAt = Date.now();
  await close(100);
  expect(Date.now() - startedAt).toBeLessThan(3_000);
  await expect(response.text()).rejects.toThrow();
});

test("says in one line that the port is in use", async () => {
  const { port } = await start({});
  await expect(start({}, port)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("RUNLAYER_PORT"),
  });
});

test.each([
  ["no HTTP", "nonsense\r\n\r\n", "400"],
  ["too many header bytes", `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, "431"],
  ["a missing Host", "GET / HTTP/1.0\r\n\r\n", "403"],
  ["a Host with a user in it", "GET / HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n", "403"],
  ["two Hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "400"],
])("refuses %s", async (_name, bytes, status) => {
  const { port } = await start({ "/": says("served") });
  expect(await exchange(port, bytes)).toContain(` ${status} `);
});

test("stays up after a handler that throws", async () => {
  const { url } = await start({
    "/broken": () => {
      throw new Error("a bug");
    },
    "/healthz": says("alive"),
  });
  const broken = await fetch(`${url}/broken`);
  expect(broken.status).toBe(500);
  expect(await broken.text()).not.toContain("a bug");
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let answer = "";
    socket.on("data", (chunk) => (answer += chunk.toString()));
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
    socket.setTimeout(2_000, () => socket.destroy());
  });
}
