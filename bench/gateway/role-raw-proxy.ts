import { createServer } from "node:http";
import { Agent } from "undici";
import { announce } from "./role.ts";

/** The least that a proxy in Node can do: read the body, send it on, pipe the answer back. */
const target = process.argv[2] ?? "";
const pool = new Agent({ pipelining: 1 });

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    pool.dispatch(
      {
        origin: target,
        path: request.url ?? "/",
        method: "POST",
        headers: ["content-type", "application/json", "accept", request.headers.accept ?? ""],
        body: Buffer.concat(chunks),
      },
      {
        onRequestStart() {
          // Nothing to keep.
        },
        onResponseStart(_, status, headers) {
          const pass = (name: string): string => String(headers[name] ?? "");
          response.writeHead(status, {
            "content-type": pass("content-type"),
            "content-length": pass("content-length"),
          });
        },
        onResponseData: (_, chunk) => void response.write(chunk),
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    );
  });
});
server.listen(0, "127.0.0.1", () => announce(server.address()));
