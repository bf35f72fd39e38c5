import type { CompiledPolicy } from "./compiled-policy.ts";
import type { Subject } from "./request.ts";
import { NAMESPACE } from "./schema.ts";
import { entityKey } from "./value.ts";

/** A server as policies name it. */
interface NamedServer {
  readonly id: string;
  readonly groups: readonly string[];
}

/** Whether a policy could match some message of this subject: by its scope alone, exceptions and conditions aside. */
export function mayConcernSubject({ keys }: CompiledPolicy, subject: Subject): boolean {
  return keys.principal === undefined || keys.principal.some((key) => subject.keys.includes(key));
}

/** Whether a policy could match some message to this server or to anything in it: by its scope alone. */
export function mayConcernServer(policy: CompiledPolicy, server: NamedServer): boolean {
  return concernsServer(server)(policy);
}

/** The same for many policies. */
export function concernsServer({ id, groups }: NamedServer): (policy: CompiledPolicy) => boolean {
  const own = new Set([
    entityKey(`${NAMESPACE}::Server`, id),
    ...groups.map((group) => entityKey(`${NAMESPACE}::ServerGroup`, group)),
  ]);
  const items = ITEM_TYPES.map((prefix) => `${prefix}${id}/`);
  const isOwn = (key: string): boolean => own.has(key) || items.some((prefix) => key.startsWith(prefix));
  return ({ keys }) => keys.resource === undefined || keys.resource.some(isOwn);
}

const ITEM_TYPES = ["Tool", "Resource", "Prompt"].map((type) => entityKey(`${NAMESPACE}::${type}`, ""));

/** Tools, resources and prompts are named `<server id>/<name>`. */
function isItemOf(key: string, serverId: string): boolean {
  return ITEM_TYPES.some((prefix) => key.startsWith(`${prefix}${serverId}/`));
}

/** Whether a policy says by its scope whom or what it is about: agents, groups, types, members or roles; servers or what is in them. */
export function namesScope({ keys }: CompiledPolicy): boolean {
  return keys.principal !== undefined || keys.resource !== undefined;
}

/** Whether everything that a policy can match belongs to this one agent, or to this one server, or is this one skill. */
export function isNarrowedTo(
  { keys }: CompiledPolicy,
  { kind, id }: { readonly kind: "agent" | "server" | "skill"; readonly id: string },
): boolean {
  if (kind === "agent") return keys.principal?.every((key) => key === entityKey(`${NAMESPACE}::Agent`, id)) ?? false;
  if (kind === "skill") return keys.resource?.every((key) => key === entityKey(`${NAMESPACE}::Skill`, id)) ?? false;
  const server = entityKey(`${NAMESPACE}::Server`, id);
  return keys.resource?.every((key) => key === server || isItemOf(key, id)) ?? false;
}
