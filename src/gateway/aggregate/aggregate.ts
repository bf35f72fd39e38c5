import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { toNodeHandler, toWebRequest } from "@modelcontextprotocol/node";
import { type AuthInfo, createMcpHandler, isLegacyRequest } from "@modelcontextprotocol/server";
import { identifyAgent, type AgentAccess } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import { parseEnvelope } from "../envelope/envelope.ts";
import { challengeOf } from "../exchange.ts";
import { readBody } from "../http/read-body.ts";
import { one } from "../http/request-headers.ts";
import { respondProblem, respondRefusal } from "../http/respond.ts";
import { RpcRefusal } from "../rpc-refusal.ts";
import { createAggregateServer, type ServerParts } from "./aggregate-server.ts";
import { AggregateSessions } from "./aggregate-sessions.ts";
import type { Connection } from "./connections.ts";
import { InnerClients } from "./inner-clients.ts";
import type { InnerHttp } from "./inner-http.ts";
import type { AggregateOptions, InnerCall, InnerCallOptions, InnerCallOutcome } from "./ports.ts";
import { GATEWAY_RESOURCE, toAggregateDraft } from "./record.ts";
import { SkillRuns, type TrialResult, type TrialRun } from "./skill-runs.ts";

/** `/gateway/mcp`: all servers and skills of the calling agent behind one connection. */
export interface Aggregate {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Runs a version for an administrator. Throws `AppError` where it cannot run as the agent. */
  trial(run: TrialRun): Promise<TrialResult>;
  /** The way from a running skill to a tool of its agent. */
  callTool(call: InnerCall, options: InnerCallOptions): Promise<InnerCallOutcome>;
  close(): void;
}

type Agent = Extract<AgentAccess, { ok: true }>["caller"];

export function createAggregate(context: GatewayContext, http: InnerHttp, options: AggregateOptions): Aggregate {
  const runs = new SkillRuns(context, options.skills, http);
  const parts: ServerParts = { context, skills: options.skills, runs, version: options.version };
  const toClients = (agent: Agent): InnerClients =>
    new InnerClients(
      http,
      { agentId: agent.agent.agent.id, keyId: agent.key.id, ip: agent.ip, client: agent.client },
      context.clock.now(),
    );
  const sessions = new AggregateSessions(parts, toClients);
  const connections = new WeakMap<AuthInfo, Connection>();
  const modern = createMcpHandler(
    ({ authInfo }) => {
      const connection = authInfo === undefined ? undefined : connections.get(authInfo);
      if (connection === undefined) throw new Error("invariant violated: every request is identified before");
      return createAggregateServer(parts, connection);
    },
    { legacy: "reject", onerror: () => undefined },
  );
  const handleModern = toNodeHandler(modern, { onerror: (error) => context.onProblem("a message failed", error) });
  sessions.onListsChanged(() => {
    modern.notify.toolsChanged();
    modern.notify.promptsChanged();
    modern.notify.resourcesChanged();
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const access = identifyAgent(request, context);
    if (!access.ok) return refuse(context, access, { request, response });
    const { caller } = access;
    noteUse(context, caller);
    const body = request.method === "POST" ? await readMessage(request, context) : undefined;
    const { method = "GET", url = "/", headers } = request;
    const auth: AuthInfo = { token: "", clientId: caller.key.id, scopes: [] };
    const message = Object.assign(Readable.from([]), { method, url, headers, auth });
    if (await isLegacyRequest(await toWebRequest(message, body), body))
      return sessions.handle(Object.assign(request, { auth }), { response, body, agent: caller });
    const clients = toClients(caller);
    response.on("close", () => clients.close());
    const { ip, client } = caller;
    const agentId = caller.agent.agent.id;
    connections.set(auth, { agentId, keyId: caller.key.id, ip, client, sessionId: undefined, clients });
    return handleModern(message, response, body);
  };
  return {
    async handle(request, response) {
      try {
        await serve(request, response);
      } catch (error) {
        if (!(error instanceof RpcRefusal)) throw error;
        respondRefusal(response, error);
      }
    },
    trial: (run) => runs.trial(run),
    callTool: (call, callOptions) => runs.callTool(call, callOptions),
    close() {
      sessions.close();
      void modern.close();
      http.close();
    },
  };
}

/** One message, strictly read: what two readers could take differently is refused, as on every path of the gateway. */
async function readMessage(request: IncomingMessage, { limits }: GatewayContext): Promise<unknown> {
  if (one(request.headers["content-encoding"]) !== undefined)
    throw RpcRefusal.invalidRequest("a content encoding is not accepted; send the message as it is");
  const bytes = await readBody(request, limits.messageBytesMax);
  parseEnvelope(bytes);
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
  const answer = { ...refusal, headers: challengeOf(refusal) };
  if (known === undefined) {
    context.authFailures.note({ ip: context.clientIp(request), kind: keyFault ?? "unknown_key" });
    return respondProblem(response, answer);
  }
  const asker = { snapshot: context.liveView.current, agent: known.agent, ip: known.ip, client: undefined };
  const facts = { event: "session.open", time: context.clock.now(), resource: GATEWAY_RESOURCE };
  await context.audit.record({ ...toAggregateDraft(asker, facts), outcome: "denied", reason: refusal.code });
  respondProblem(response, answer);
}
