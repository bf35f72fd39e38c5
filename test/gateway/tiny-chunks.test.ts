import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collectGarbage } from "../../src/lib/collect-garbage.ts";
import { ACCEPT, call, post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendJson, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

const MB = 1024 * 1024;
/** Each in a chunk of its own: a hundred bytes of memory for each would be 20 MB and more. */
const BYTES = 200_000;

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
let behave: (received: Received) => void;
/** Called while the whole answer is in memory, however it came. */
let onListed: () => void = () => undefined;

beforeAll(async () => {
  harness = await startHarness({
    observer: {
      toolsListed: () => onListed(),
      health: () => undefined,
      keyUsed: () => undefined,
      keyDenied: () => undefined,
    },
  });
  upstream = await startUpstream((received) => behave(received));
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

test("takes no more memory than its bytes do for a message that comes in chunks of one byte", async () => {
  let used = 0;
  behave = (received) => {
    used = memoryUsed();
    sendJson(received, result(received, { content: [] }));
  };
  await post(url, agent.key, call(0, "a"));
  const before = used;
  const body = padded('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"', "}}");
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const head = `POST ${pathname} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${agent.key}\r\ncontent-type: application/json\r\naccept: ${ACCEPT}\r\n`;
  socket.write(`${head}transfer-encoding: chunked\r\n\r\n${inTinyChunks(body)}`);
  const [answer] = await socket.take(1).toArray();
  expect(String(answer)).toContain('"id":1,"result"');
  socket.destroy();
  expect(upstream.received.at(-1)?.body).toBe(body);
  expect(used - before).toBeLessThan(8 * MB);
});

test("takes no more memory than its bytes do for an answer that comes in chunks of one byte", async () => {
  let used = 0;
  onListed = () => {
    used = memoryUsed();
  };
  let list = '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}';
  behave = ({ response }) => {
    const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    response.socket?.end(`${head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n${inTinyChunks(list)}`);
  };
  await post(url, agent.key, request(1, "tools/list"));
  const before = used;
  list = padded('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"new"}]', "}}");
  const { messages } = await post(url, agent.key, request(1, "tools/list"));
  expect(messages).toMatchObject([{ id: 1, result: { tools: [{ name: "new" }] } }]);
  expect(used).not.toBe(before);
  expect(used - before).toBeLessThan(8 * MB);
});

function padded(beginning: string, end: string): string {
  return beginning + " ".repeat(BYTES) + end;
}

function inTinyChunks(body: string): string {
  return `${body.replaceAll(/[^]/g, "1\r\n$&\r\n")}0\r\n\r\n`;
}

function memoryUsed(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
