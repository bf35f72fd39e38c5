import { createServer } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEgress, type Egress } from "../lib/egress/egress.ts";
import { WebhookSender } from "./webhook-sender.ts";

let egress: Egress;
let url: string;
let status = 204;
let seen = 0;
const server = createServer((_request, response) => {
  seen += 1;
  response.writeHead(status).end();
});

beforeAll(async () => {
  egress = createEgress({ ownListeners: () => [] });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`;
});

afterAll(async () => {
  await egress.close();
  server.closeAllConnections();
  server.close();
});

const message = (id: number) => ({ id: String(id), type: "t", time: "2026-01-01T00:00:00.000Z", data: {} });

function start(problems: unknown[]): WebhookSender {
  return new WebhookSender({
    egress,
    target: () => Promise.resolve({ url, allowPrivateNetwork: true, secret: "s" }),
    onProblem: (error) => void problems.push(error),
    nowSeconds: () => 1,
    backoffMs: [1, 1],
  });
}

async function until(isDone: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 500 && !isDone(); attempt += 1)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isDone()).toBe(true);
}

test("gives a message up after the last attempt, says so, and goes on with the next", async () => {
  const problems: unknown[] = [];
  const sender = start(problems);
  [status, seen] = [500, 0];
  sender.post(message(1));
  await until(() => problems.length === 1);
  expect(seen).toBe(3);
  status = 204;
  sender.post(message(2));
  await until(() => seen === 4);
  sender.close();
});

test("keeps a bounded queue, and sends nothing once it is closed", async () => {
  const problems: unknown[] = [];
  const sender = start(problems);
  for (let id = 0; id < 1010; id += 1) sender.post(message(id));
  expect(problems.length).toBeGreaterThan(0);
  sender.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = seen;
  sender.post(message(1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(seen).toBe(before);
});
