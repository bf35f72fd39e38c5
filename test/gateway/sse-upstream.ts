import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import type { Message } from "./client.ts";
import { startUpstream, type TestUpstream } from "./upstream.ts";

/** A server of the transport of 2024-11-05 with the tools `env`, `read`, `chatter`, `raw` and `wait` of the stdio sample. */
export function startSseUpstream(): Promise<TestUpstream> {
  const streams: ServerResponse[] = [];
  return startUpstream(({ method, url, message, response }) => {
    if (method === "GET") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: endpoint\ndata: /message?session=${streams.length}\n\n`);
      streams.push(response);
      return;
    }
    response.writeHead(202).end();
    const stream = streams[Number(url.split("=")[1])];
    if (stream === undefined) throw new Error("no such session");
    if (message.params?.["name"] === "raw") stream.write(`data: ${rawAnswerTo(message)}\n\n`, "latin1");
    for (const said of answersTo(message)) stream.write(`data: ${JSON.stringify({ jsonrpc: "2.0", ...said })}\n\n`);
  });
}

function answersTo({ id, method, params = {} }: Message): readonly object[] {
  if (method === "initialize") {
    const serverInfo = { name: "sse", version: "1" };
    return [{ id, result: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo } }];
  }
  if (method !== "tools/call") return [];
  if (params["name"] === "chatter") return chatter();
  if (params["name"] === "wait" || params["name"] === "raw") return [];
  const { path = "" } = { ...Object(params["arguments"]) };
  const text = params["name"] === "read" ? readFileSync(String(path), "utf8") : "{}";
  return [{ id, result: { content: [{ type: "text", text }] } }];
}

function rawAnswerTo({ id, params = {} }: Message): string {
  const { text = "" } = { ...Object(params["arguments"]) };
  return String(text).replaceAll("ID", JSON.stringify(id));
}

/** Much progress and no answer. */
function chatter(): readonly object[] {
  const message = "x".repeat(40_000);
  return Array.from({ length: 400 }, (_, progress) => ({
    method: "notifications/progress",
    params: { progressToken: 1, progress, message },
  }));
}
