import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { ACCEPT, call, post } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, startUpstream, type TestUpstream } from "./upstream.ts";

const MB = 1024 * 1024;
const ROOM = 3 * MB;
/** Two of these are too much by the last byte of them: what is refused has been sent, so that the client gets to read why. */
const BEGINNING = ROOM / 2 + 1;
const stack = new AsyncDisposableStack();

let harness: Harness;
let upstream: TestUpstream;
let greedy: AgentKey;
let other: AgentKey;

beforeAll(async () => {
  const nothing = () => Promise.reject(new Error("this skill calls nothing"));
  const skills = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  harness = await startHarness({ aggregate: { skills, version: "1.0.0" }, limits: { heldBytesPerAgentMax: ROOM } });
  upstream = await startUpstream(plainServer);
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  greedy = await harness.addAgent("greedy", [{ serverId: server.id }]);
  other = await harness.addAgent("other", [{ serverId: server.id }]);
});

afterAll(async () => {
  await harness.close();
  await upstream.close();
  await stack.disposeAsync();
});

test.each(["/gateway/s/mcp", "/gateway/mcp"])(
  "refuses a large message for which an agent has no room while others of it are on their way (%s)",
  async (path) => {
    const large = JSON.stringify(call("large", "read_file", { text: "x".repeat(2 * MB) }));
    const begun = [begin(path, greedy, large), begin(path, greedy, large)];
    // Whichever of them is read later.
    const [refused, answer] = await Promise.race(
      begun.map(async (socket) => [socket, await answerOf(socket)] as const),
    );
    expect(answer).toContain("HTTP/1.1 503 ");
    expect(answer).toContain("connection: close");
    expect(answer).toContain('"code":-32013');
    expect((await post(`${harness.url}/gateway/s/mcp`, greedy.key, call(1, "read_file"))).status).toBe(200);
    expect((await post(`${harness.url}/gateway/s/mcp`, other.key, large)).status).toBe(200);
    for (const socket of begun.filter((one) => one !== refused)) {
      socket.write(large.slice(BEGINNING));
      expect(await answerOf(socket)).not.toContain("HTTP/1.1 503 ");
    }
    for (const socket of begun) socket.destroy();
    expect((await post(`${harness.url}/gateway/s/mcp`, greedy.key, large)).status).toBe(200);
  },
);

function begin(path: string, { key }: AgentKey, body: string): Socket {
  const { hostname, port } = new URL(harness.url);
  const socket = connect(Number(port), hostname);
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\naccept: ${ACCEPT}\r\n`;
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body.slice(0, BEGINNING)}`);
  return socket;
}

async function answerOf(socket: Socket): Promise<string> {
  const [answer] = await once(socket, "data");
  return String(answer);
}
