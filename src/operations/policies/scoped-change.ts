import { mentionKey } from "../../domain/policy.ts";
import { isGuardian, isRoleWithin } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext } from "../context.ts";

/** What decides which policies apply to a server, an agent or a skill. */
export interface ScopedFacts {
  readonly name: string;
  readonly owner: string | null;
  readonly groups: readonly string[];
}

type Context = Pick<HandleContext, "caller" | "repositories">;

/**
 * Throws `forbidden` where a caller below `security` changes what a policy rests on (contract section 2): the groups or the
 * owner of an object, or the name of one that a policy names, before or after the change; and where `security`, which is no
 * operator, changes a name or an owner that no policy rests on. `before` is undefined at creation.
 */
export async function refuseScopedChange(
  id: string,
  { before, after }: { readonly before: ScopedFacts | undefined; readonly after: ScopedFacts },
  context: Context,
): Promise<void> {
  const groups = difference(before?.groups ?? [], after.groups);
  if (groups.length > 0 && !isGuardian(context.caller.role)) await checkField("groups", [id, ...groups], context);
  if (before !== undefined) await refuseScopedRename(id, { before: before.name, after: after.name }, context);
  const owner = before?.owner ?? null;
  if (owner === after.owner || (await isOwnTaking(owner, after.owner, context))) return;
  const members = [owner, after.owner].filter((member) => member !== null);
  const keys = await Promise.all(members.map((member) => keysOfMember(member, context)));
  await checkField("owner", [id, ...keys.flat()], context);
}

/** The part of `refuseScopedChange` about the name, for objects without groups and owner. */
export async function refuseScopedRename(
  id: string,
  { before, after }: { readonly before: string; readonly after: string },
  context: Context,
): Promise<void> {
  if (before !== after) await checkField("name", [id], context);
}

/** Throws `forbidden` below `security`: to attach a policy is to change its scope. */
export function requireGuardian(role: Context["caller"]["role"], field: string): void {
  if (isGuardian(role)) return;
  throw new AppError("forbidden", `\`${field}\` needs \`security\` or above`, { details: { field } });
}

/**
 * To answer for what nobody answers for gives it no more than the caller's own rights. A member who answers for a key with a lower
 * role than their own is not its holder: that key does not lend them to an agent.
 */
async function isOwnTaking(
  before: string | null,
  after: string | null,
  { caller, repositories }: Context,
): Promise<boolean> {
  if (caller.role === "security" || before !== null || after === null || after !== caller.memberId) return false;
  const member = await repositories.members.find(after);
  return member !== undefined && isRoleWithin(member.role, caller.role);
}

async function keysOfMember(id: string, { repositories }: Context): Promise<string[]> {
  const member = await repositories.members.find(id);
  return member === undefined ? [id] : [id, ...member.groups, mentionKey("role", member.role)];
}

/** Whether a policy rests on a field decides who may change it: below `security` where none does, `security` where one does. */
async function checkField(field: string, keys: readonly string[], { caller, repositories }: Context): Promise<void> {
  if (caller.role === "owner" || caller.role === "admin") return;
  const [policy] = await repositories.policies.mentioning(keys);
  if (caller.role === "security" && policy === undefined) {
    throw new AppError(
      "forbidden",
      `\`${field}\` needs \`operator\`, \`admin\` or \`owner\`, because no policy rests on it`,
      { details: { field } },
    );
  }
  if (caller.role === "security" || policy === undefined) return;
  throw new AppError(
    "forbidden",
    `\`${field}\` decides whether policy \`${policy.name}\` applies; it needs \`security\` or above`,
    {
      details: { field, policy: { id: policy.id, name: policy.name } },
    },
  );
}

function difference(left: readonly string[], right: readonly string[]): string[] {
  return [...left.filter((id) => !right.includes(id)), ...right.filter((id) => !left.includes(id))];
}
