import { Server, type AuthInfo, type CallToolRequest, type ServerContext } from "@modelcontextprotocol/server";
import { assert } from "../lib/assert.ts";
import { AppError, toAppError } from "../lib/errors.ts";
import { escapeHiddenText } from "../lib/escape-hidden.ts";
import { newId } from "../lib/ids.ts";
import type { Caller, Interaction } from "../operations/context.ts";
import type { Operation } from "../operations/define-operation.ts";
import { execute } from "../operations/execute.ts";
import type { Identity } from "./authentication.ts";
import { askDuringCall, InputRequired, type RoundTrips } from "./mcp-confirmation.ts";
import { INSTRUCTIONS } from "./mcp-instructions.ts";
import { toErrorResult, toResult, toTool } from "./mcp-tools.ts";
import type { Surface } from "./surface.ts";

export interface McpParts {
  readonly surface: Surface;
  readonly roundTrips: RoundTrips;
  /** Who sent a request, by the object that travels with it through the SDK. */
  readonly identities: WeakMap<AuthInfo, Identity>;
}

const CLIENT_NAME_CHARACTERS_MAX = 100;

/** An MCP server whose tools are the operations: of one session (2025 revisions) or of one request (2026-07-28). */
export function createMcpServer(parts: McpParts, era: "legacy" | "modern"): Server {
  const { surface, roundTrips } = parts;
  // The low-level server: it takes our JSON schemas as they are and leaves checking the input to the operation.
  const server = new Server(
    { name: "runlayer", title: "Runlayer", version: surface.version },
    {
      capabilities: { tools: {} },
      instructions: INSTRUCTIONS,
      requestState: { verify: (state, context) => roundTrips.verify(state, context) },
    },
  );
  const tools = surface.operations.map(toTool);
  server.setRequestHandler("tools/list", () => ({ tools }));
  server.setRequestHandler("tools/call", (request, context) => callTool(request, context, { parts, server, era }));
  return server;
}

interface Session {
  readonly parts: McpParts;
  readonly server: Server;
  readonly era: "legacy" | "modern";
}

async function callTool(request: CallToolRequest, context: ServerContext, session: Session) {
  const { surface } = session.parts;
  const correlationId = newId();
  try {
    const operation = findOperation(request.params.name, surface.operations);
    const caller = toCaller(context, session);
    const input = request.params.arguments ?? {};
    const invocation = {
      caller,
      input,
      correlationId,
      signal: context.mcpReq.signal,
      interaction: toInteraction(context, session, { callerId: caller.actor.id, operation: operation.name, input }),
      progress: toProgress(context),
    };
    return toResult(await execute(operation, invocation, surface.runtime), operation);
  } catch (error) {
    if (error instanceof InputRequired) return error.result;
    const appError = toAppError(error);
    if (appError.code === "internal") surface.reportError(error, { correlationId });
    return toErrorResult(appError);
  }
}

function findOperation(name: string, operations: readonly Operation[]): Operation {
  const found = operations.find((operation) => operation.name === name);
  if (found === undefined) throw new AppError("not_found", "there is no tool of this name; tools/list names them");
  return found;
}

function toCaller(context: ServerContext, { parts, server }: Session): Caller {
  const authInfo = context.http?.authInfo;
  const identity = authInfo === undefined ? undefined : parts.identities.get(authInfo);
  assert(identity !== undefined, "every request to the MCP face is authenticated before the SDK sees it");
  const { caller } = identity;
  const name = server.getClientVersion()?.name;
  if (name === undefined) return caller;
  return { ...caller, actor: { ...caller.actor, client: escapeHiddenText(name.slice(0, CLIENT_NAME_CHARACTERS_MAX)) } };
}

function toInteraction(
  context: ServerContext,
  { parts, server, era }: Session,
  about: Parameters<RoundTrips["ask"]>[1],
): Interaction | undefined {
  const elicitation = server.getClientCapabilities()?.elicitation;
  // A client that names modes must name forms; one that names none has forms (2025-06-18).
  const hasForms = elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
  if (!hasForms) return undefined;
  return era === "modern" ? parts.roundTrips.ask(context, about) : askDuringCall(context);
}

function toProgress(context: ServerContext): ((done: number, total: number, message: string) => void) | undefined {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  return (progress, total, message) => {
    const params = { progressToken, progress, total, message: escapeHiddenText(message) };
    // Progress is a courtesy: a client that has gone must not fail the work.
    context.mcpReq.notify({ method: "notifications/progress", params }).catch(() => undefined);
  };
}
