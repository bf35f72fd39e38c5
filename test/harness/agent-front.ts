import { createServer, request as sendRequest, type IncomingMessage, type ServerResponse } from "node:http";

/** A listener on loopback that is one agent: whatever comes in goes to one gateway URL with the agent's key. */
export interface AgentFront {
  readonly url: string;
  close(): Promise<void>;
}

/** For clients that send no key. Everything else passes untouched, both ways. */
export async function startAgentFront(gatewayUrl: string, key: string): Promise<AgentFront> {
  const target = new URL(gatewayUrl);
  const server = createServer((request, response) => forward(request, response, { target, key }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listening server has a port");
  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { target, key }: { readonly target: URL; readonly key: string },
): void {
  const { host = "" } = request.headers;
  // A foreign Host stays foreign, so that the gateway is what refuses it; only the port is translated.
  const headers = {
    ...request.headers,
    authorization: `Bearer ${key}`,
    host: host.replace(/:\d+$/, `:${target.port}`),
  };
  const onward = sendRequest(target, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
    answer.on("error", () => response.destroy());
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
}
