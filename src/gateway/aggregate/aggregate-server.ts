import {
  type AuthInfo,
  type CallToolRequest,
  type CallToolResult,
  type InputRequiredResult,
  type ListToolsResult,
  McpServer,
  ProtocolError,
  type ServerContext,
  type Tool,
} from "@modelcontextprotocol/server";
import { SkillsExtension } from "@modelcontextprotocol/server/ext/skills";
import type { ToolDefinition } from "../../domain/server.ts";
import type { GatewayContext } from "../context.ts";
import { recordDenial } from "../record-denial.ts";
import { matchDetails, subjectOf, toDraft } from "../record.ts";
import { asRefusal, RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import { askerOf, type Connection } from "./connections.ts";
import { refusalOf } from "./inner-outcome.ts";
import { toDeniedAnswer } from "./unsent-call.ts";
import type { OpenAnswers } from "./open-answers.ts";
import { innerArgumentsOf } from "./own-arguments.ts";
import type { SkillRunner } from "./ports.ts";
import { DROPPED, type Handling, noRoomRefusal, recordList, sizeOf } from "./made-answer.ts";
import { toUnsentCall } from "./record.ts";
import { isReading, signalOf } from "./client-gone.ts";
import { sendCall } from "./send-call.ts";
import { findServing, type ServingSkill, type SkillAsker, visibleSkills } from "./skill-decision.ts";
import { createSkillSource } from "./skill-source.ts";
import { patienceOf, questionOf } from "./skill-question.ts";
import { getSkillPrompt, listSkillPrompts } from "./skill-prompts.ts";
import type { SkillRuns } from "./skill-runs.ts";
import { toResult, toSkillTool } from "./skill-tool.ts";
import { toSkillToolName } from "./tool-names.ts";
import { createToolNaming } from "./tool-naming.ts";
import { CALL_TOOL, parseCall, parseSearch, SEARCH_TOOLS, searchTools, toListed } from "./tool-search.ts";
import { assignedServers, findTool, visibleTools, type AssignedServer } from "./visible-tools.ts";

/** What every server of the endpoint shares. */
export interface ServerParts {
  readonly context: GatewayContext;
  readonly skills: SkillRunner;
  readonly runs: SkillRuns;
  readonly version: string;
  readonly answers: OpenAnswers;
  /** Of each tool call its arguments as written, by the identity that its message came with. */
  readonly argumentsJson: WeakMap<AuthInfo, string>;
}

type CallParams = CallToolRequest["params"];

interface ActualCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const INSTRUCTIONS =
  "Tools of several servers behind one connection, named `<server>__<tool>` (or as the servers name them, if that was asked for), and skills of the organization, named `skill__<name>`. Where there are too many to list, `search_tools` finds and `call_tool` calls them. Calls may be refused by policy; the error says by which and whom to ask.";

/** An MCP server for one client of `/gateway/mcp`: of a session, or of one request of the stateless revision. */
export function createAggregateServer(parts: ServerParts, connection: Connection): McpServer {
  const mcp = new McpServer(
    { name: "runlayer-gateway", title: "Runlayer gateway", version: parts.version },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true },
      },
      instructions: INSTRUCTIONS,
    },
  );
  new SkillsExtension({ source: createSkillSource(parts, connection), onWarning: () => undefined }).attach(mcp);
  // The low-level handlers: definitions and results are the servers' own and pass as they are.
  const { server } = mcp;
  const handling = (request: ServerContext): Handling => ({ parts, connection, request });
  server.setRequestHandler("tools/list", (_, context) => refusable(() => listTools(handling(context))));
  server.setRequestHandler("tools/call", ({ params }, context) =>
    refusable(async () => {
      if (params.name === SEARCH_TOOLS) return search(params, handling(context));
      const actual = toActualCall(params, handling(context));
      await refuseUnread(actual.name, handling(context));
      return callTool(actual, handling(context));
    }),
  );
  server.setRequestHandler("prompts/list", (_, context) => refusable(() => listSkillPrompts(handling(context))));
  server.setRequestHandler("prompts/get", ({ params }, context) =>
    refusable(() => getSkillPrompt(params.name, handling(context))),
  );
  return mcp;
}

/** The gateway's refusals in the SDK's words. */
export async function refusable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const refusal = asRefusal(error) ?? refusalOf(error);
    throw refusal === undefined ? error : new ProtocolError(refusal.code, refusal.message, refusal.data);
  }
}

async function listTools(handling: Handling): Promise<ListToolsResult> {
  const { asker, tools, skills } = await offeredTools(handling);
  const count = tools.length + skills.length;
  return recordList({ tools: toListed(tools, skills) }, { event: "tool.list", count }, { ...handling, asker });
}

async function search(params: CallParams, handling: Handling): Promise<CallToolResult> {
  const wanted = parseSearch(params.arguments);
  const { asker, tools, skills } = await offeredTools(handling);
  const all = [...tools, ...skills];
  const query = handling.parts.context.maskName(wanted.query);
  const facts = { event: "tool.list", count: all.length, query };
  return recordList(searchTools(all, wanted), facts, { ...handling, asker });
}

/** The call that is meant: plain names and `call_tool` stand for other names, and only these are decided and recorded. */
function toActualCall(params: CallParams, { parts, connection, request }: Handling): ActualCall {
  const isWrapped = params.name === CALL_TOOL;
  const called = isWrapped ? parseCall(params.arguments) : { name: params.name, args: params.arguments ?? {} };
  const auth = request.http?.authInfo;
  const written = auth === undefined ? undefined : parts.argumentsJson.get(auth);
  if (isWrapped && auth !== undefined && written !== undefined)
    parts.argumentsJson.set(auth, innerArgumentsOf(written) ?? "{}");
  const naming = createToolNaming(askerOf(connection, parts.context), connection.names);
  return { name: naming.prefixedOf(called.name), args: called.args };
}

/** What the agent could call now, under the names that it has here. */
async function offeredTools({ parts, connection }: Handling) {
  const { context } = parts;
  const asker = askerOf(connection, context);
  const naming = createToolNaming(asker, connection.names);
  const servers = assignedServers(asker, connection, context);
  await recordHidden(servers, connection, context);
  const own = await visibleTools(servers, connection, context);
  const skills = visibleSkills(asker, context.clock.now()).flatMap(toSkillTool);
  const tools = own.map(({ serverId, definition }) =>
    toTool(naming.nameOf({ serverId, tool: definition.name }), definition),
  );
  return { asker, tools, skills };
}

/** A server whose tools a policy keeps from the list: recorded as a list of that server alone would be. */
async function recordHidden(
  servers: readonly AssignedServer[],
  { sessionId }: Connection,
  context: GatewayContext,
): Promise<void> {
  const denials = servers.map(async ({ caller, connect }) => {
    if (connect.effect !== "deny") return;
    const { policies, reason } = connect;
    const time = context.clock.now();
    const facts = { event: "tool.list", time, sessionId, policies, details: matchDetails(connect) };
    const draft = toDraft(subjectOf(caller), facts);
    await recordDenial(context, { draft, reason, server: caller.server.server.name });
  });
  await Promise.all(denials);
}

/** As the server's own list has it; a schema that is no object's is not MCP, and its tool is shown as taking anything. */
function toTool(name: string, definition: ToolDefinition): Tool {
  const { inputSchema, outputSchema, title, description, annotations } = definition;
  return {
    name,
    inputSchema: { ...toSchema(inputSchema), type: "object" },
    ...(outputSchema === undefined ? {} : { outputSchema: { ...toSchema(outputSchema), type: "object" } }),
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  };
}

function toSchema(schema: unknown): Record<string, unknown> {
  return typeof schema === "object" && schema !== null ? Object.fromEntries(Object.entries(schema)) : {};
}

/** Does nothing for an agent that leaves too much unread. */
async function refuseUnread(name: string, { parts, connection }: Handling): Promise<void> {
  const { context } = parts;
  if (context.heldBytes.hasRoom(connection.agentId)) return;
  const draft = toUnsentCall(name, askerOf(connection, context), { context, connection });
  await context.audit.record({ ...draft, ...DROPPED });
  throw noRoomRefusal();
}

async function callTool(call: ActualCall, handling: Handling): Promise<CallToolResult | InputRequiredResult> {
  const { parts, connection, request } = handling;
  const { name, args } = call;
  const asker = askerOf(connection, parts.context);
  const skill = findSkill(asker, name);
  if (skill !== undefined) return runSkill(skill, args, handling);
  const progress = toProgress(request);
  const signal = signalOf(request);
  const found = findTool(asker, name);
  if (found === undefined) throw await refuseUnknown(name, asker, handling);
  const auth = request.http?.authInfo;
  const argumentsJson = auth === undefined ? undefined : parts.argumentsJson.get(auth);
  const unsent = { ...found, argumentsJson, sessionId: connection.sessionId, startedAt: performance.now() };
  const sent = { ...found, args, argumentsJson, signal, onProgress: progress };
  const answer = await sendCall(unsent, sent, { clients: connection.clients, context: parts.context });
  if (answer.isDenied) throw toDeniedAnswer(answer.denial);
  return answer.result;
}

async function runSkill(
  view: ServingSkill,
  input: unknown,
  { parts, connection, request }: Handling,
): Promise<CallToolResult | InputRequiredResult> {
  const asking = { connection, context: parts.context, skillId: view.skill.id };
  const progress = toProgress(request);
  let done = 0;
  const answer = await parts.runs.run({
    connection,
    view,
    input,
    patience: patienceOf(request, asking),
    signal: signalOf(request),
    onProgress: (message) => progress?.({ progress: (done += 1), message }),
    fits: (result) => parts.answers.makeRoom(request, sizeOf(toResult(result))),
  });
  return answer.status === "asked" ? questionOf(asking, answer) : toResult(answer);
}

/** Also one that the agent may not run: the refusal then says so. */
function findSkill(asker: SkillAsker, name: string): ServingSkill | undefined {
  if (!name.startsWith("skill__")) return undefined;
  for (const view of asker.snapshot.skillById.values()) {
    const found = toSkillToolName(view.skill.name) === name ? findServing(asker, view) : undefined;
    if (found?.serving.content.function !== undefined) return found;
  }
  return undefined;
}

/** A tool of no server of this agent: the same answer whether it exists elsewhere or not. */
async function refuseUnknown(name: string, asker: SkillAsker, { parts, connection }: Handling): Promise<RpcRefusal> {
  const draft = toUnsentCall(name, asker, { context: parts.context, connection });
  await recordDenial(parts.context, { draft, reason: "not_assigned", keyId: connection.keyId });
  const message = `agent \`${asker.agent.agent.name}\` has no tool of this name; list the tools, or ask an administrator of this gateway`;
  const data = { type: "runlayer.denied", reason: "not_assigned", policies: [], correlationId: draft.correlationId };
  return new RpcRefusal({ status: 200, code: RPC_CODES.denied, message }, { data });
}

function toProgress(context: ServerContext) {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  return (progress: {
    readonly progress: number;
    readonly total?: number | undefined;
    readonly message?: string | undefined;
  }) => {
    // The inner client reads as fast as the server writes: what the agent does not read must not pile up.
    if (!isReading(context)) return;
    const params = { progressToken, ...progress };
    // Progress is a courtesy: a client that has gone must not fail the work.
    context.mcpReq.notify({ method: "notifications/progress", params }).catch(() => undefined);
  };
}
