import type { Server } from "../../domain/server.ts";
import { isGuardian, type Role } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import type { Services } from "../services.ts";
import type { EndpointInput } from "./server-endpoint.ts";
import { isLoaderVariable } from "./server-fields.ts";

/** What a call wants to set on a server; see contract section 2. */
export interface ServerChange extends EndpointInput {
  readonly status?: Server["status"] | undefined;
  readonly shareable?: boolean | undefined;
  readonly approveToolChanges?: unknown;
}

/** What `security` may change of a server without being an operator of it; name and owner only where a policy rests on them. */
const SECURITY_FIELDS: ReadonlySet<string> = new Set([
  "id",
  "name",
  "owner",
  "status",
  "allowPrivateNetwork",
  "shareable",
  "approveToolChanges",
  "groups",
  "policies",
  "addPolicies",
  "removePolicies",
  "expectedVersion",
  "dryRun",
  "confirm",
]);

/** Throws `forbidden` where the caller's role does not reach; `server` is undefined on creation. */
export function checkServerRights(change: ServerChange, role: Role, server?: Server): void {
  if (!isGuardian(role)) refuseGuardianFields(change, server);
  if (!isGuardian(role)) refuseMoveInside(change, server);
  if (role === "security") refuseOperatorFields(change);
  if (role === "owner" || role === "admin") return;
  refuseStdioFields(change, server);
  const variables = change.credential?.type === "env" ? Object.keys(change.credential.values) : [];
  const added = variables.find((name) => server?.credential.names.includes(name) !== true);
  if (added !== undefined) throw forbidden("only `owner` and `admin` add variables to a stdio server", "credential");
  const loader = variables.find(isLoaderVariable);
  if (loader !== undefined) throw forbidden(`only \`owner\` and \`admin\` set \`${loader}\``, "credential");
}

function refuseStdioFields(change: ServerChange, server: Server | undefined): void {
  const touched = (["command", "args", "env", "cwd"] as const).find((field) => change[field] !== undefined);
  const becomesStdio = change.transport === "stdio" && server?.transport !== "stdio";
  if (touched === undefined && !becomesStdio) return;
  throw forbidden("only `owner` and `admin` create or change what a stdio server runs", touched ?? "transport");
}

/** Who may say what a stdio server runs may start it first; later starts are the gateway's. */
export function checkStartRight(role: Role): void {
  if (role === "owner" || role === "admin") return;
  throw forbidden("only `owner` and `admin` start a stdio command that was never started", "confirm");
}

/** Throws `forbidden` where this installation does not start commands. */
export function checkStdioAllowed(transport: Server["transport"], services: Services): void {
  if (transport !== "stdio" || services.isStdioAllowed) return;
  throw new AppError("forbidden", "stdio servers are switched off here (`RUNLAYER_ALLOW_STDIO=false`)");
}

function refuseGuardianFields(change: ServerChange, server: Server | undefined): void {
  const current = { allowPrivateNetwork: false, shareable: false, status: "active", ...server } as const;
  const isChanged = (field: "allowPrivateNetwork" | "shareable" | "status"): boolean =>
    change[field] !== undefined && change[field] !== current[field];
  if (isChanged("allowPrivateNetwork")) throw needsGuardian("`allowPrivateNetwork`", "allowPrivateNetwork");
  if (isChanged("shareable")) throw needsGuardian("`shareable`", "shareable");
  if (change.approveToolChanges !== undefined) throw needsGuardian("`approveToolChanges`", "approveToolChanges");
  if (!isChanged("status")) return;
  if (change.status === "quarantined") throw needsGuardian("a quarantine", "status");
  if (current.status === "quarantined") throw needsGuardian("lifting a quarantine", "status");
}

/** Leave to reach private addresses was given for one address: another one needs it anew. */
function refuseMoveInside(change: ServerChange, server: Server | undefined): void {
  if (server?.allowPrivateNetwork !== true || change.allowPrivateNetwork === false) return;
  const isMoved = change.url !== undefined && change.url !== server.url;
  const tokenUrl = change.credential?.type === "oauth-client-credentials" ? change.credential.tokenUrl : null;
  if (isMoved) throw needsGuardian("another address of a server with `allowPrivateNetwork`", "url");
  if (tokenUrl !== null && tokenUrl !== server.credential.tokenUrl) {
    throw needsGuardian("another token endpoint of a server with `allowPrivateNetwork`", "credential");
  }
}

function refuseOperatorFields(change: ServerChange): void {
  const field = Object.entries(change).find(([name, value]) => value !== undefined && !SECURITY_FIELDS.has(name))?.[0];
  if (field !== undefined) throw forbidden(`\`${field}\` needs \`operator\`, \`admin\` or \`owner\``, field);
}

function needsGuardian(what: string, field: string): AppError {
  return forbidden(`${what} needs \`security\` or above`, field);
}

function forbidden(message: string, field: string): AppError {
  return new AppError("forbidden", message, { details: { field } });
}
