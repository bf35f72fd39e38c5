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
        readonly keyId: string;
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

/** The view lacks a change that is in force: nobody knows whom it takes a right from. */
export const BEHIND: AccessRefusal = {
  status: 503,
  code: "unavailable",
  message: "the gateway could not read the latest changes of its rules, so it decides nothing; try again in a moment",
};

/** Who sends a request, whichever of its servers it is for. */
export type AgentAccess =
  | { readonly ok: true; readonly caller: Pick<Caller, "snapshot" | "key" | "agent" | "ip" | "client"> }
  | Extract<Access, { ok: false }>;

/** Finds out from the headers alone which agent calls. A suspended one is refused. */
export function identifyAgent(request: IncomingMessage, context: GatewayContext): AgentAccess {
  const found = findAgent(request, context);
  if (!found.ok || found.caller.agent.agent.status === "active") return found;
  const { agent, ip, key } = found.caller;
  return { ok: false, refusal: SUSPENDED, known: { keyId: key.id, agent, server: undefined, ip } };
}

/** Finds out from the headers alone who calls which server, and whether it may. */
export function identify(request: IncomingMessage, serverName: string, context: GatewayContext): Access {
  const found = findAgent(request, context);
  if (!found.ok) return found;
  const { snapshot, agent, ip, key } = found.caller;
  const server = snapshot.serverById.get(snapshot.serverIdByName.get(serverName) ?? "");
  const right = findRight(agent, server);
  if (!right.ok)
    return { ok: false, refusal: right.refusal, known: { keyId: key.id, agent, server: server?.server, ip } };
  return { ok: true, caller: { ...found.caller, server: right.server, assignment: right.assignment } };
}

function findAgent(request: IncomingMessage, context: GatewayContext): AgentAccess {
  const { current: snapshot } = context.liveView;
  if (snapshot.isBehind) return { ok: false, refusal: BEHIND };
  const ip = context.clientIp(request);
  const authentication = context.identifyKey(
    { authorization: request.headers.authorization, kind: "agent", ip, nowMs: context.clock.now() },
    snapshot,
  );
  if (!authentication.ok) return { ok: false, refusal: UNAUTHENTICATED, keyFault: authentication.reason };
  const { key } = authentication;
  const agent = snapshot.agentById.get(key.agentId ?? "");
  if (agent === undefined) return { ok: false, refusal: UNAUTHENTICATED, keyFault: "unknown_agent" };
  const client = clientOf(request, context);
  return { ok: true, caller: { snapshot, key, agent, ip, client } };
}

/** What the client says that it is. People configure odd things there, keys among them. */
export function clientOf({ headers }: IncomingMessage, { maskName }: GatewayContext): string | undefined {
  const client = headers["user-agent"];
  return client === undefined ? undefined : maskName(client).slice(0, CLIENT_CHARACTERS_MAX);
}

/** The caller as the current snapshot sees it, or why it may not go on. For whatever outlives a change: bodies, streams, sessions. */
export function recheck(caller: Caller, snapshot: Snapshot, nowMs: number): Access {
  if (snapshot === caller.snapshot && !isExpired(caller.key, nowMs)) return { ok: true, caller };
  const { ip, client } = caller;
  const who = { keyId: caller.key.id, agentId: caller.agent.agent.id, serverId: caller.server.server.id, ip, client };
  return accessAs(who, snapshot, nowMs);
}

/** An agent on one of its servers, by what was known of it before. */
interface KnownCaller extends Pick<Caller, "ip" | "client"> {
  readonly agentId: string;
  readonly keyId: string;
  readonly serverId: string;
}

/** As `recheck`, for who was identified without a request of its own to the server. */
export function accessAs(
  { agentId, keyId, serverId, ip, client }: KnownCaller,
  snapshot: Snapshot,
  nowMs: number,
): Access {
  if (snapshot.isBehind) return { ok: false, refusal: BEHIND };
  const key = snapshot.keyById.get(keyId);
  const agent = snapshot.agentById.get(agentId);
  if (key === undefined || agent === undefined || keyStatus(key, nowMs) !== "active")
    return { ok: false, refusal: UNAUTHENTICATED };
  const right = findRight(agent, snapshot.serverById.get(serverId));
  if (!right.ok) return right;
  const { server, assignment } = right;
  return { ok: true, caller: { snapshot, key, agent, server, assignment, ip, client } };
}

/** RFC 6750 §3: a refusal for want of credentials says which scheme is expected. */
export function challengeOf({ status }: AccessRefusal): Readonly<Record<string, string>> {
  return status === 401 ? { "www-authenticate": "Bearer" } : {};
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
