import { Client, SdkHttpError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { toFailure, toOutcome } from "../gateway/aggregate/inner-outcome.ts";
import { AppError } from "../lib/errors.ts";
import type { ToolCall, ToolCaller, ToolCallOutcome } from "../skills/runner/ports.ts";

export interface LiveToolsOptions {
  /** Of a running Runlayer. */
  readonly url: string;
  /** An agent's gateway key. */
  readonly key: string;
}

export interface LiveTools extends ToolCaller, AsyncDisposable {}

/** Longer than a call is held open for an approval. */
const CALL_MS_MAX = 10 * 60_000;
const CONTACT_MS_MAX = 5000;

/** Tools of real servers, through the gateway of a running Runlayer, as the agent whose key it is. Throws where there is none. */
export async function openLiveTools({ url, key }: LiveToolsOptions): Promise<LiveTools> {
  const base = url.replace(/\/+$/, "");
  await requireRunning(base);
  const clients = new Map<string, Promise<Client>>();
  const connect = (server: string): Promise<Client> => {
    const known = clients.get(server) ?? open(new URL(`${base}/gateway/${encodeURIComponent(server)}/mcp`), key);
    clients.set(server, known);
    return known;
  };
  return {
    async callTool(call, { signal, onProgress }) {
      try {
        const client = await connect(call.server);
        const params = { name: call.tool, arguments: toArguments(call) };
        const options = { signal, timeout: CALL_MS_MAX, onprogress: onProgress, resetTimeoutOnProgress: true };
        return toOutcome(await client.request({ method: "tools/call", params }, options));
      } catch (error) {
        return toRefusal(error, call) ?? toFailure(error, signal);
      }
    },
    // A test goes on from no earlier run.
    recheck: async () => undefined,
    async [Symbol.asyncDispose]() {
      for (const client of clients.values()) await client.then((opened) => opened.close()).catch(() => undefined);
    },
  };
}

async function requireRunning(base: string): Promise<void> {
  try {
    await fetch(`${base}/healthz`, { signal: AbortSignal.timeout(CONTACT_MS_MAX), redirect: "error" });
  } catch (error) {
    const message = `nothing answers at \`${base}\`; start Runlayer there, or set RUNLAYER_URL`;
    throw new AppError("unavailable", message, { cause: error });
  }
}

async function open(url: URL, key: string): Promise<Client> {
  const client = new Client(
    { name: "runlayer-skills-test", version: "1" },
    { versionNegotiation: { mode: "auto" }, capabilities: {} },
  );
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return client;
}

function toArguments({ argumentsJson }: ToolCall): Record<string, unknown> {
  const value: unknown = JSON.parse(argumentsJson);
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

/** What the gateway says before it looks at a message. */
function toRefusal(error: unknown, { server }: ToolCall): ToolCallOutcome | undefined {
  const status = error instanceof SdkHttpError ? error.status : undefined;
  const message = status === undefined ? undefined : REFUSALS.get(status)?.(server);
  return message === undefined
    ? undefined
    : { status: "refused", wasSent: false, error: { code: "forbidden", message } };
}

const REFUSALS: ReadonlyMap<number, (server: string) => string> = new Map([
  [401, () => "the gateway does not accept the agent's key; give one that is active"],
  [403, (server: string) => `the agent, or server \`${server}\`, is suspended or disabled`],
  [404, (server: string) => `server \`${server}\` is not assigned to the agent`],
]);
