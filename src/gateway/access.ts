import type { IncomingMessage } from "node:http";
import { keyStatus, type ApiKey } from "../domain/api-key.ts";
import type { Server } from "../domain/server.ts";
import type { AgentView, AssignmentView, ServerView, Snapshot } from "../snapshot/snapshot.ts";
import type { GatewayContext } from "./context.ts";
import type { Caller } from "./decide.ts";

/** Why a caller is not let through to a server at all, before any message is looked at (contract section 5, row 1). */
export interface AccessRefusal {
  readonly status: 401 | 403 | 404 | 503;
  readonly code: string;
  readonly message: string;
}

export type Access =
  | { readonly ok: true; readonly caller: Caller }
  | {
      readonly ok: false;
      readonly refusal: AccessRefusal;
      /** Who was refused, where the key says so. */
      readonly known?: {
        readonly agent: AgentView;
        readonly server: Server | undefined;
        readonly ip: string | undefined;
      };
      /** Why the key was not accepted. */
      readonly keyFault?: string | undefined;
    };

const CLIENT_CHARACTERS_MAX = 200;
const UNAUTHENTICATED: AccessRefusal = {
  status: 401,
  code: "unauthenticated",
  message:
    "the agent key is missing or not accepted; send `Authorization: Bearer rl_agent_…` with a key that is active",
};
const SUSPENDED: AccessRefusal = {
  status: 403,
  code: "agent_suspended",
  message: "this agent is suspended; ask an administrator of this gateway to activate it",
};
/** The same for a server that is not assigned and one that does not exist. */
const NO_SERVER: AccessRefusal = {
  status: 404,
  code: "not_found",
  message: "no such server is assigned to this agent; ask an administrator of this gateway to assign it",
};

/** Finds out from the headers alone who calls which server, and whether it may. */
export function identify(request: IncomingMessage, serverName: string, context: GatewayContext): Access {
  const { current: snapshot } = context.liveView;
  const ip = context.clientIp(request);
  const authentication = context.identifyKey(
    { authorization: request.headers.authorization, kind: "agent", ip, nowMs: context.clock.now() },
    snapshot,
  );
  if (!authentication.ok) return { ok: false, refusal: UNAUTHENTICATED, keyFault: authentication.reason };
  const { key } = authentication;
  const agent = snapshot.agentById.get(key.agentId ?? "");
  if (agent === undefined) return { ok: false, refusal: UNAUTHENTICATED, keyFault: "unknown_agent" };
  const server = snapshot.serverById.get(snapshot.serverIdByName.get(serverName) ?? "");
  const right = findRight(agent, server);
  if (!right.ok) return { ok: false, refusal: right.refusal, known: { agent, server: server?.server, ip } };
  const client = clientOf(request, context);
  return { ok: true, caller: { snapshot, key, agent, server: right.server, assignment: right.assignment, ip, client } };
}

/** What the client says that it is. People configure odd things there, keys among them. */
export function clientOf({ headers }: IncomingMessage, { maskName }: GatewayContext): string | undefined {
  const client = headers["user-agent"];
  return client === undefined ? undefined : maskName(client).slice(0, CLIENT_CHARACTERS_MAX);
}

/** The caller as the current snapshot sees it, or why it may not go on. For whatever outlives a change: bodies, streams, sessions. */
export function recheck(caller: Caller, snapshot: Snapshot, nowMs: number): Access {
  if (snapshot === caller.snapshot && !isExpired(caller.key, nowMs)) return { ok: true, caller };
  const key = snapshot.keyById.get(caller.key.id);
  const agent = snapshot.agentById.get(caller.agent.agent.id);
  if (key === undefined || agent === undefined || keyStatus(key, nowMs) !== "active")
    return { ok: false, refusal: UNAUTHENTICATED };
  const right = findRight(agent, snapshot.serverById.get(caller.server.server.id));
  if (!right.ok) return right;
  return { ok: true, caller: { ...caller, snapshot, key, agent, server: right.server, assignment: right.assignment } };
}

function isExpired(key: ApiKey, nowMs: number): boolean {
  return key.expiresAt !== null && key.expiresAt <= nowMs;
}

type Right =
  | { readonly ok: true; readonly server: ServerView; readonly assignment: AssignmentView }
  | { readonly ok: false; readonly refusal: AccessRefusal };

function findRight(agent: AgentView, server: ServerView | undefined): Right {
  if (agent.agent.status !== "active") return { ok: false, refusal: SUSPENDED };
  const assignment = server === undefined ? undefined : agent.assignmentByServerId.get(server.server.id);
  if (server === undefined || assignment === undefined) return { ok: false, refusal: NO_SERVER };
  const { status } = server.server;
  if (status === "active") return { ok: true, server, assignment };
  const message = `this server is ${status}; ask an administrator of this gateway`;
  return { ok: false, refusal: { status: 403, code: `server_${status}`, message } };
}
