import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { listen, type Listener } from "./harness.ts";
import type { Message } from "./client.ts";

/** What reached the upstream. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly message: Message;
  readonly response: ServerResponse;
  readonly request: IncomingMessage;
}

export interface TestUpstream extends Listener {
  readonly received: Received[];
}

/** The far end of the network: a server that answers as the test says. */
export async function startUpstream(
  answer: (received: Received) => void | Promise<void>,
  port = 0,
): Promise<TestUpstream> {
  const received: Received[] = [];
  const listener = await listen((request, response) => {
    void text(request).then((body) => {
      const message: Message = body.trim().startsWith("{") ? JSON.parse(body) : {};
      const { method = "", url = "", headers } = request;
      const one = { method, url, headers, body, message, response, request };
      received.push(one);
      return answer(one);
    });
  }, port);
  return { ...listener, received };
}

export function sendJson({ response }: Received, body: unknown, { status = 200, headers = {} } = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

export function result(received: Received, value: unknown): object {
  return { jsonrpc: "2.0", id: received.message.id, result: value };
}

export function startSse({ response }: Received, headers: Record<string, string> = {}): void {
  response.writeHead(200, { "content-type": "text/event-stream", ...headers });
}

export function sendEvent({ response }: Received, message: unknown, id?: string): void {
  response.write(`event: message\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(message)}\n\n`);
}

/** A server with three tools that says what it was called with. */
export function plainServer(received: Received): void {
  const { method } = received.message;
  if (received.method === "DELETE") return void received.response.writeHead(200).end();
  if (received.method === "GET") return void received.response.writeHead(405).end();
  if (received.message.id === undefined) return void received.response.writeHead(202).end();
  if (method === "initialize") {
    const info = {
      protocolVersion: "2025-11-25",
      capabilities: { tools: {} },
      serverInfo: { name: "plain", version: "1" },
    };
    return sendJson(received, result(received, info), { headers: { "mcp-session-id": `s-${received.message.id}` } });
  }
  if (method === "tools/list") {
    const tools = ["read_file", "write_file", "delete_file"].map((name) => ({ name, inputSchema: { type: "object" } }));
    return sendJson(received, result(received, { tools }));
  }
  sendJson(received, result(received, { content: [{ type: "text", text: JSON.stringify(received.message.params) }] }));
}
