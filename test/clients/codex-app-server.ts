import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { at } from "../harness/app.ts";
import type { ClientHome } from "./client-home.ts";

/** Codex without its model: its app server calls tools of the servers in its configuration. */
export interface CodexAppServer {
  /** The whole JSON-RPC answer of `mcpServer/tool/call`. */
  callTool(server: string, tool: string, args: Record<string, unknown>): Promise<unknown>;
  close(): Promise<void>;
}

const ANSWER_MS_MAX = 30_000;

/** Starts it with one thread. MUST be closed. */
export async function startCodex(place: ClientHome): Promise<CodexAppServer> {
  const { env, project } = place;
  const options = { env, cwd: project };
  const child = spawn(place.program("codex"), ["app-server"], { ...options, stdio: ["pipe", "pipe", "ignore"] });
  const exited = once(child, "exit");
  const waiting = new Map<unknown, (answer: unknown) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message: unknown = JSON.parse(line);
    if (at(message, "method") === undefined) waiting.get(at(message, "id"))?.(message);
  });
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  let lastId = 0;
  const ask = (method: string, params: object): Promise<unknown> => {
    lastId += 1;
    const id = lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    waiting.set(id, resolve);
    const timer = setTimeout(() => reject(new Error(`codex did not answer \`${method}\``)), ANSWER_MS_MAX);
    send({ id, method, params });
    return promise.finally(() => clearTimeout(timer));
  };
  await ask("initialize", { clientInfo: { name: "runlayer-test", title: "Test", version: "1.0.0" } });
  send({ method: "initialized" });
  const thread = await ask("thread/start", { cwd: project, ephemeral: true });
  const threadId = at(thread, "result", "thread", "id");
  return {
    callTool: (server, tool, args) => ask("mcpServer/tool/call", { threadId, server, tool, arguments: args }),
    async close() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
