import type { Readable, Writable } from "node:stream";
import { StreamableHTTPClientTransport, type JSONRPCMessage } from "@modelcontextprotocol/client";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";

export interface StdioBridgeOptions {
  readonly url: URL;
  /** The agent's gateway key. */
  readonly key: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** One line for the client's log. */
  readonly onProblem: (message: string) => void;
}

/** JSON-RPC's own range for errors that a server defines. */
const BRIDGE_ERROR = -32000;

/**
 * Joins a client that only starts commands to a gateway URL: what comes on standard input goes out as HTTP with the key, what
 * comes back goes to standard output. Messages pass unchanged. Resolves when the client closes its end.
 */
export async function bridgeStdio({ url, key, stdin, stdout, onProblem }: StdioBridgeOptions): Promise<void> {
  const client = new StdioServerTransport(stdin, stdout);
  const gateway = new StreamableHTTPClientTransport(url, {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
  });
  const send = async (message: JSONRPCMessage): Promise<void> => {
    try {
      await gateway.send(message);
    } catch (error) {
      const text = error instanceof Error ? error.message : "the gateway did not answer";
      onProblem(text);
      if ("id" in message && "method" in message) {
        await client.send({
          jsonrpc: "2.0",
          id: message.id,
          error: { code: BRIDGE_ERROR, message: `runlayer: ${text}` },
        });
      }
    }
  };
  client.onmessage = (message) => void send(message);
  client.onerror = (error) => onProblem(error.message);
  gateway.onmessage = (message) => {
    const version = negotiatedVersion(message);
    // MCP 2025-06-18, transports: every later request carries the negotiated revision.
    if (version !== undefined) gateway.setProtocolVersion(version);
    void client.send(message);
  };
  gateway.onerror = (error) => onProblem(error.message);
  const ended = new Promise<void>((resolve) => stdin.once("close", resolve).once("end", resolve));
  await gateway.start();
  await client.start();
  await ended;
  await gateway.terminateSession().catch((error: unknown) => onProblem(`could not end the session: ${String(error)}`));
  await gateway.close();
}

/** The revision in an `initialize` result, the only result with that member. */
function negotiatedVersion(message: JSONRPCMessage): string | undefined {
  if (!("result" in message)) return undefined;
  const { protocolVersion } = message.result;
  return typeof protocolVersion === "string" ? protocolVersion : undefined;
}
