import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { toNodeHandler, toWebRequest } from "@modelcontextprotocol/node";
import { type AuthInfo, createMcpHandler, isLegacyRequest } from "@modelcontextprotocol/server";
import { eventsOnOneLine } from "../../lib/one-line.ts";
import { challengeOf, identifyAgent, type AgentAccess } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import { parseEnvelope } from "../envelope/envelope.ts";
import { readBody } from "../http/read-body.ts";
import { one } from "../http/request-headers.ts";
import { respondProblem, respondRefusal } from "../http/respond.ts";
import { recordDenial } from "../record-denial.ts";
import { asRefusal, RpcRefusal } from "../rpc-refusal.ts";
import type { Aggregate } from "./aggregate.ts";
import { createAggregateServer, type ServerParts } from "./aggregate-server.ts";
import { AggregateSessions } from "./aggregate-sessions.ts";
import { isStillAllowed, type Connection } from "./connections.ts";
import { InnerClients } from "./inner-clients.ts";
import type { InnerHttp } from "./inner-http.ts";
import { followClient } from "./client-gone.ts";
import { argumentsOf } from "./own-arguments.ts";
import { OpenAnswers } from "./open-answers.ts";
import type { AggregateOptions } from "./ports.ts";
import { GATEWAY_RESOURCE, toAggregateDraft } from "./record.ts";
import type { ToolNames } from "./tool-naming.ts";
import { SkillRuns } from "./skill-runs.ts";
import { recordUnknownMethod } from "./unknown-method.ts";

type Agent = Extract<AgentAccess, { ok: true }>["caller"];

/** What serves `/gateway/mcp`, built on the MCP SDK. */
export function createAggregateEndpoint(
  context: GatewayContext,
  http: InnerHttp,
  options: AggregateOptions,
): Aggregate {
  const runs = new SkillRuns(context, options.skills, http);
  const { skills, version } = options;
  const answers = new OpenAnswers(context);
  const parts: ServerParts = { context, skills, runs, version, answers, argumentsJson: new WeakMap() };
  const toClients = (agent: Agent): InnerClients => createClients(agent, http);
  const sessions = new AggregateSessions(parts, toClients);
  const modern = createModern(parts, toClients);
  let trials = 0;
  sessions.onChange({ tell: () => modern.listsChanged(), check: () => modern.endForbidden() });
  return {
    async handle(request, response) {
      try {
        await serve({ request, response }, { parts, sessions, modern });
      } catch (error) {
        const refusal = asRefusal(error);
        if (refusal === undefined) throw error;
        if (error !== refusal) context.onProblem("a decision could not be recorded", error);
        respondRefusal(response, refusal);
      }
    },
    async trial(run) {
      trials += 1;
      try {
        return await runs.trial(run);
      } finally {
        trials -= 1;
      }
    },
    callTool: (call, callOptions) => runs.callTool(call, callOptions),
    sessions: () => sessions.list(),
    endSession: (id) => sessions.endById(id),
    recheck: (call) => runs.recheck(call),
    get openCalls() {
      return answers.callCount + trials;
    },
    endStreams: () => sessions.endStreams(),
    close() {
      sessions.close();
      modern.close();
      http.close();
    },
  };
}

function createClients({ agent, key, ip, client }: Agent, http: InnerHttp): InnerClients {
  return new InnerClients(http, { agentId: agent.agent.id, keyId: key.id, ip, client });
}

/** The message without its bytes, which are read already, as the SDK's adapter takes it. */
type ReadRequest = Readable & { method: string; url: string; headers: IncomingMessage["headers"]; auth: AuthInfo };

interface Modern {
  handle(
    request: ReadRequest,
    answer: {
      readonly response: ServerResponse;
      readonly body: unknown;
      readonly agent: Agent;
      readonly names: ToolNames;
    },
  ): Promise<void>;
  listsChanged(): void;
  /** Cuts off whose agent lost its right. */
  endForbidden(): void;
  close(): void;
}

/** The stateless revision: a server for each request. */
function createModern(parts: ServerParts, toClients: (agent: Agent) => InnerClients): Modern {
  const connections = new WeakMap<AuthInfo, Connection>();
  const open = new Map<ServerResponse, Connection>();
  const handler = createMcpHandler(
    ({ authInfo }) => {
      const connection = authInfo === undefined ? undefined : connections.get(authInfo);
      if (connection === undefined) throw new Error("invariant violated: every request is identified before");
      return createAggregateServer(parts, connection);
    },
    { legacy: "reject", onerror: () => undefined },
  );
  const serveNode = toNodeHandler(
    { fetch: async (...message) => eventsOnOneLine(await handler.fetch(...message)) },
    { onerror: (error) => parts.context.onProblem("a message failed", error) },
  );
  return {
    async handle(request, { response, body, agent, names }) {
      await recordUnknownMethod(body, { agent, sessionId: undefined }, parts.context);
      // Its `close` is over: nothing would end what it opens.
      if (response.destroyed) return;
      const clients = toClients(agent);
      const { ip, client, key } = agent;
      const agentId = agent.agent.agent.id;
      const connection = { agentId, keyId: key.id, ip, client, sessionId: undefined, clients, names };
      connections.set(request.auth, connection);
      open.set(response, connection);
      response.on("close", () => {
        open.delete(response);
        clients.close();
      });
      await serveNode(request, response, body);
    },
    listsChanged() {
      handler.notify.toolsChanged();
      handler.notify.promptsChanged();
      handler.notify.resourcesChanged();
    },
    endForbidden() {
      for (const [response, connection] of open) if (!isStillAllowed(connection, parts.context)) response.destroy();
    },
    close: () => void handler.close(),
  };
}

async function serve(
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  { parts, sessions, modern }: { parts: ServerParts; sessions: AggregateSessions; modern: Modern },
): Promise<void> {
  const { context } = parts;
  const access = identifyAgent(request, context);
  if (!access.ok) return refuse(context, access, { request, response });
  noteUse(context, access.caller);
  const names = namesIn(request);
  const auth: AuthInfo = { token: "", clientId: access.caller.key.id, scopes: [] };
  followClient(auth, response);
  const agentId = access.caller.agent.agent.id;
  parts.answers.follow(response, { agentId, isCall: request.method !== "GET" });
  const body = request.method === "POST" ? await readMessage(request, { auth, agentId }, parts) : undefined;
  if (isListening(body)) parts.answers.follow(response, { agentId, isCall: false });
  const { method = "GET", url = "/", headers } = request;
  const read = Object.assign(Readable.from([]), { method, url, headers, auth });
  const isLegacy = await isLegacyRequest(await toWebRequest(read, body), body);
  // The body may have been long on its way: what was forbidden meanwhile opens nothing.
  const now = identifyAgent(request, context);
  if (!now.ok) return refuse(context, now, { request, response });
  const agent = now.caller;
  if (isLegacy) return sessions.handle(Object.assign(request, { auth }), { response, body, agent, names });
  return modern.handle(read, { response, body, agent, names });
}

/** Whether the answer stands open without end (2026-07-28). */
function isListening(body: unknown): boolean {
  return typeof body === "object" && body !== null && "method" in body && body.method === "subscriptions/listen";
}

/** `?names=plain` or nothing. What is not known is refused, not passed over: whoever writes it expects that it does something. */
function namesIn({ url = "" }: IncomingMessage): ToolNames {
  const query = new URLSearchParams(url.split("?", 2)[1] ?? "");
  if (query.toString() === "names=plain") return "plain";
  const [name] = query.keys();
  if (name === undefined) return "prefixed";
  if (name === "names")
    throw RpcRefusal.invalidRequest(
      "the query parameter `names` may only be `plain`, once; leave it out for prefixed names",
    );
  const shown = name.slice(0, 64).replaceAll(/[^\w.-]/g, "?");
  throw RpcRefusal.invalidRequest(
    `the query parameter \`${shown}\` is not known here; use \`/gateway/mcp\`, alone or with \`?names=plain\``,
  );
}

/** One message, strictly read: what two readers could take differently is refused, as on every path of the gateway. */
async function readMessage(
  request: IncomingMessage,
  { auth, agentId }: { readonly auth: AuthInfo; readonly agentId: string },
  { context, argumentsJson }: ServerParts,
): Promise<unknown> {
  if (one(request.headers["content-encoding"]) !== undefined)
    throw RpcRefusal.invalidRequest("a content encoding is not accepted; send the message as it is");
  const bytes = await readBody(request, context.limits.messageBytesMax, context.heldBytes.holderFor(agentId));
  const written = argumentsOf(parseEnvelope(bytes));
  if (written !== undefined) argumentsJson.set(auth, written);
  const message: unknown = JSON.parse(bytes.toString("utf8"));
  return message;
}

function noteUse({ observer, clock }: GatewayContext, { key, agent, ip }: Agent): void {
  observer?.keyUsed({ keyId: key.id, agentId: agent.agent.id, ip, at: clock.now() });
}

async function refuse(
  context: GatewayContext,
  { refusal, known, keyFault }: Extract<AgentAccess, { ok: false }>,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  if (refusal.status === 503) throw RpcRefusal.unavailable(refusal.message);
  const answer = { ...refusal, headers: challengeOf(refusal) };
  if (known === undefined) {
    context.authFailures.note({ ip: context.clientIp(request), kind: keyFault ?? "unknown_key" });
    return respondProblem(response, answer);
  }
  const asker = { snapshot: context.liveView.current, agent: known.agent, ip: known.ip, client: undefined };
  const facts = { event: "session.open", time: context.clock.now(), resource: GATEWAY_RESOURCE };
  const draft = toAggregateDraft(asker, facts);
  await recordDenial(context, { draft, reason: refusal.code, keyId: known.keyId });
  respondProblem(response, answer);
}
