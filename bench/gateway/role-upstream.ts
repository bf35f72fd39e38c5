import { createServer } from "node:http";
import { announce } from "./role.ts";

/** An MCP server that answers every request with about 1 KB of JSON, at once or after the delay in its path (`/10/mcp`). */
const text = "lorem ipsum dolor sit amet ".repeat(36);

const server = createServer((request, response) => {
  const delayMs = Number(/^\/(\d+)\//.exec(request.url ?? "")?.[1] ?? 0);
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const id = /"id":\s*(\d+)/.exec(Buffer.concat(chunks).toString("latin1"))?.[1] ?? "0";
    const body = `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"${text}"}]}}`;
    const answer = (): void => {
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
      response.end(body);
    };
    if (delayMs === 0) answer();
    else setTimeout(answer, delayMs);
  });
});
server.listen(0, "127.0.0.1", () => announce(server.address()));
