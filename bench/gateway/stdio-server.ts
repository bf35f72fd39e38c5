import { createInterface } from "node:readline";

/** The bench's upstream as a stdio server, for the proxy that takes only those. The delay in ms is its argument. */
const delayMs = Number(process.argv[2] ?? 0);
const text = "lorem ipsum dolor sit amet ".repeat(36);

createInterface({ input: process.stdin }).on("line", (line) => {
  const message: { id?: number; method?: string } = JSON.parse(line);
  if (message.id === undefined) return;
  const info = {
    protocolVersion: "2025-11-25",
    capabilities: { tools: {} },
    serverInfo: { name: "bench", version: "1" },
  };
  const result = message.method === "initialize" ? info : { content: [{ type: "text", text }] };
  const answer = (): void =>
    void process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id, result })}\n`);
  if (delayMs === 0 || message.method === "initialize") answer();
  else setTimeout(answer, delayMs);
});
