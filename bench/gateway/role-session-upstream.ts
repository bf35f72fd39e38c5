import { createServer } from "node:http";
import { announce } from "./role.ts";

/** An MCP server with sessions and a standing stream in each. */
let sessions = 0;

const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    return;
  }
  request.resume().on("end", () => {
    sessions += 1;
    const headers = { "content-type": "application/json", "mcp-session-id": `session-${sessions}` };
    response.writeHead(200, headers);
    response.end(`{"jsonrpc":"2.0","id":${sessions},"result":{"protocolVersion":"2025-11-25","capabilities":{}}}`);
  });
});
server.listen(0, "127.0.0.1", () => announce(server.address()));
