import type { Transport } from "./facts.ts";
import { type ProbeAnswer, ProbeSession, type ProbeTarget } from "./probe-request.ts";
import { isMembers } from "./server-entries.ts";

export type ProbeFinding =
  | {
      readonly kind: "mcp";
      readonly url: string;
      readonly transport: Transport;
      readonly name: string;
      /** It listed its tools without credentials. */
      readonly isOpen: boolean;
      readonly toolNames: readonly string[];
    }
  | { readonly kind: "protected"; readonly url: string }
  | { readonly kind: "agent"; readonly client: string; readonly title: string; readonly url: string };

const PROTOCOL_LEGACY = "2025-11-25";
const PROTOCOL_MODERN = "2026-07-28";
const ACCEPT = { accept: "application/json, text/event-stream" } as const;
const CLIENT = { name: "runlayer-sweep", version: "1" } as const;

/** Climbs the ladder on one port and stops at the first proof: initialize, discover, a protected resource, an SSE endpoint, an agent's page. */
export async function probePort(target: ProbeTarget): Promise<ProbeFinding | undefined> {
  const session = new ProbeSession(target);
  for (const path of ["/mcp", "/"]) {
    const found = await tryInitialize(session, path);
    if (found !== undefined) return found;
  }
  return (await tryDiscover(session)) ?? (await trySse(session)) ?? (await tryAgent(session));
}

async function tryInitialize(session: ProbeSession, path: string): Promise<ProbeFinding | undefined> {
  const params = { protocolVersion: PROTOCOL_LEGACY, capabilities: {}, clientInfo: CLIENT };
  const answer = await session.send({
    method: "POST",
    path,
    headers: ACCEPT,
    body: { jsonrpc: "2.0", id: 1, method: "initialize", params },
  });
  if (answer === undefined) return undefined;
  if (isProtected(answer)) return { kind: "protected", url: session.base + path };
  const result = resultOf(answer);
  if (!isMembers(result) || typeof result["protocolVersion"] !== "string" || !isMembers(result["serverInfo"]))
    return undefined;
  const headers = { ...ACCEPT, ...versionHeader(result["protocolVersion"]), ...sessionHeader(answer) };
  await session.send({ method: "POST", path, headers, body: { jsonrpc: "2.0", method: "notifications/initialized" } });
  const listed = await session.send({
    method: "POST",
    path,
    headers,
    body: { jsonrpc: "2.0", id: 2, method: "tools/list", params: {} },
  });
  if (answer.headers["mcp-session-id"] !== undefined) await session.send({ method: "DELETE", path, headers });
  const tools = listed === undefined ? undefined : toolNamesOf(listed);
  const url = session.base + (path === "/" ? "" : path);
  return {
    kind: "mcp",
    url,
    transport: "http",
    name: nameOf(result["serverInfo"]),
    isOpen: tools !== undefined,
    toolNames: tools ?? [],
  };
}

/** The stateless era: no session, what would be negotiated stands in `_meta` and in headers. */
async function tryDiscover(session: ProbeSession): Promise<ProbeFinding | undefined> {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL_MODERN,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const send = (id: number, method: string): Promise<ProbeAnswer | undefined> => {
    const headers = { ...ACCEPT, "mcp-protocol-version": PROTOCOL_MODERN, "mcp-method": method };
    return session.send({
      method: "POST",
      path: "/mcp",
      headers,
      body: { jsonrpc: "2.0", id, method, params: { _meta } },
    });
  };
  const answer = await send(3, "server/discover");
  const result = answer === undefined ? undefined : resultOf(answer);
  if (!isMembers(result) || !Array.isArray(result["supportedVersions"])) return undefined;
  const listed = await send(4, "tools/list");
  const tools = listed === undefined ? undefined : toolNamesOf(listed);
  return {
    kind: "mcp",
    url: `${session.base}/mcp`,
    transport: "http",
    name: nameOf(result["serverInfo"]),
    isOpen: tools !== undefined,
    toolNames: tools ?? [],
  };
}

async function trySse(session: ProbeSession): Promise<ProbeFinding | undefined> {
  const answer = await session.send({ method: "GET", path: "/sse", headers: { accept: "text/event-stream" } });
  if (answer === undefined) return undefined;
  if (isProtected(answer)) return { kind: "protected", url: `${session.base}/sse` };
  if (answer.status !== 200 || !/^event:\s?endpoint\r?$/m.test(answer.body)) return undefined;
  return { kind: "mcp", url: `${session.base}/sse`, transport: "sse", name: "sse", isOpen: false, toolNames: [] };
}

const AGENT_PAGES: readonly { readonly client: string; readonly title: string; readonly pattern: RegExp }[] = [
  {
    client: "openclaw",
    title: "OpenClaw",
    pattern: /<title>(?:OpenClaw|Moltbot|Clawdbot) Control<\/title>|<openclaw-app/i,
  },
  { client: "hermes", title: "Hermes Agent", pattern: /<title>Hermes<\/title>/i },
];

async function tryAgent(session: ProbeSession): Promise<ProbeFinding | undefined> {
  const page = await session.send({ method: "GET", path: "/" });
  if (page === undefined) return undefined;
  if (page.headers["server"]?.startsWith("HermesWebUI/") === true)
    return { kind: "agent", client: "hermes", title: "Hermes Agent", url: session.base };
  const known = AGENT_PAGES.find(({ pattern }) => pattern.test(page.body));
  return known === undefined
    ? undefined
    : { kind: "agent", client: known.client, title: known.title, url: session.base };
}

/** RFC 9728 §5.1: only a protected resource points to its metadata. */
function isProtected({ status, headers }: ProbeAnswer): boolean {
  return (status === 401 || status === 403) && /resource_metadata\s?=/i.test(headers["www-authenticate"] ?? "");
}

function resultOf(answer: ProbeAnswer): unknown {
  for (const text of messagesOf(answer)) {
    const message = parse(text);
    if (isMembers(message) && message["jsonrpc"] === "2.0" && "result" in message) return message["result"];
  }
  return undefined;
}

function messagesOf({ headers, body }: ProbeAnswer): string[] {
  if (headers["content-type"]?.includes("text/event-stream") !== true) return [body];
  return body.split("\n").flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trim()] : []));
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function toolNamesOf(answer: ProbeAnswer): string[] | undefined {
  const result = resultOf(answer);
  if (!isMembers(result) || !Array.isArray(result["tools"])) return undefined;
  const tools: readonly unknown[] = result["tools"];
  return tools
    .slice(0, 500)
    .flatMap((tool) => (isMembers(tool) && typeof tool["name"] === "string" ? [tool["name"].slice(0, 128)] : []));
}

function nameOf(serverInfo: unknown): string {
  return isMembers(serverInfo) && typeof serverInfo["name"] === "string" ? serverInfo["name"].slice(0, 128) : "unnamed";
}

function sessionHeader(answer: ProbeAnswer): Record<string, string> {
  const id = answer.headers["mcp-session-id"];
  return id === undefined ? {} : { "mcp-session-id": id };
}

/** A stranger chose the text: what is no version is not sent back. */
function versionHeader(version: string): Record<string, string> {
  return /^\d{4}-\d\d-\d\d$/.test(version) ? { "mcp-protocol-version": version } : {};
}
