import { connect, type Socket } from "node:net";
import { ACCEPT } from "./client.ts";

/** Posts a message to the gateway over a bare connection, whose reading the test decides. */
export function rawRequest(
  url: string,
  message: object,
  { key, headers = {} }: { readonly key: string; readonly headers?: Record<string, string> },
): Socket {
  const { hostname, port, pathname } = new URL(url);
  const body = JSON.stringify(message);
  const lines = Object.entries({
    host: "x",
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    accept: ACCEPT,
    "content-length": String(body.length),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  const socket = connect(Number(port), hostname);
  socket.write(`POST ${pathname} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
  return socket;
}
