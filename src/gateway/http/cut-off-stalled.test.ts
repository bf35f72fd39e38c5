import { once } from "node:events";
import { createServer, get, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { untilTaken } from "./cut-off-stalled.ts";

/** More than the buffers of a connection take while nobody reads. */
const LARGE = Buffer.alloc(12 * 1024 * 1024);
const MINUTE_MS = 60_000;
const server = createServer();

afterEach(() => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
});

test("cuts off a client that has not all in ten minutes, even if it takes something now and then", async () => {
  const response = await openAnswer({ isRead: false });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  response.write(LARGE);
  // So long that it is as if the client took something in between.
  const taken = untilTaken(response, { stalledClientMs: 20 * MINUTE_MS, slowClientMs: 10 * MINUTE_MS });
  vi.advanceTimersByTime(9 * MINUTE_MS);
  expect(response.destroyed).toBe(false);
  vi.advanceTimersByTime(MINUTE_MS);
  await taken;
  expect(response.destroyed).toBe(true);
});

test("cuts off nobody who has taken all, however long the server is silent then", async () => {
  const response = await openAnswer({ isRead: true });
  expect(response.write(LARGE)).toBe(false);
  await untilTaken(response, { stalledClientMs: 500, slowClientMs: 10 * MINUTE_MS });
  await sleep(1200);
  expect(response.destroyed).toBe(false);
});

async function openAnswer({ isRead }: { readonly isRead: boolean }): Promise<ServerResponse> {
  const opened = Promise.withResolvers<ServerResponse>();
  server.once("request", (_request, response) => opened.resolve(response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const request = get({ host: "127.0.0.1", port: address.port });
  request.on("response", (answer) => void (isRead && answer.resume()));
  request.on("error", () => undefined);
  return opened.promise;
}
