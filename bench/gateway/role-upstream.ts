import { createServer } from "node:http";
import { announce } from "./role.ts";

/**
 * An MCP server that answers every call with about 1 KB of JSON, at once or after the delay in its path (`/10/mcp`). With
 * `sessions` as its argument it opens a session for each `initialize` and a standing stream for each GET.
 */
const text = "lorem ipsum dolor sit amet ".repeat(36);
const hasSessions = process.argv[2] === "sessions";
const INFO = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}`;
const TOOLS = `{"tools":[{"name":"read_file","inputSchema":{"type":"object"}}]}`;
const CALLED = `{"content":[{"type":"text","text":"${text}"}]}`;
const RESULTS: Readonly<Record<string, string>> = { initialize: INFO, "tools/list": TOOLS, "tools/call": CALLED };
let sessions = 0;

const server = createServer((request, response) => {
  if (request.method === "GET" && hasSessions) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    return;
  }
  const delayMs = Number(/^\/(\d+)\//.exec(request.url ?? "")?.[1] ?? 0);
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const message = Buffer.concat(chunks).toString("latin1");
    const id = /"id":\s*(\d+)/.exec(message)?.[1];
    const method = /"method":\s*"([^"]+)"/.exec(message)?.[1] ?? "";
    if (request.method !== "POST" || id === undefined) {
      response.writeHead(request.method === "POST" ? 202 : 405, { "content-length": 0 }).end();
      return;
    }
    const result = RESULTS[method];
    const rest = result === undefined ? `"error":{"code":-32601,"message":"no such method"}` : `"result":${result}`;
    const body = `{"jsonrpc":"2.0","id":${id},${rest}}`;
    const session = hasSessions && method === "initialize" ? { "mcp-session-id": `session-${++sessions}` } : {};
    const answer = (): void => {
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length, ...session });
      response.end(body);
    };
    if (delayMs === 0 || method !== "tools/call") answer();
    else setTimeout(answer, delayMs);
  });
});
server.listen(0, "127.0.0.1", () => announce(server.address()));
