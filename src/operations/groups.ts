import type { Group } from "../domain/member.ts";
import { isName } from "../domain/names.ts";
import { AppError } from "../lib/errors.ts";
import type { Repositories } from "../store/ports.ts";
import type { HandleContext } from "./context.ts";

/** Names of groups by id, for showing. */
export async function groupNames(
  repositories: Repositories,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const groups = await repositories.groups.byIds([...new Set(ids)]);
  return new Map(groups.map(({ id, name }) => [id, name]));
}

/** The ids of groups given by id or name. A name that is new brings its group into being: that is how groups are made. */
export async function resolveGroups(refs: readonly string[], context: GroupContext): Promise<readonly string[]> {
  const ids = new Set<string>();
  for (const ref of refs) {
    const found = (await context.repositories.groups.find(ref)) ?? (await createGroup(ref, context));
    ids.add(found.id);
  }
  return [...ids];
}

type GroupContext = Pick<HandleContext, "repositories" | "services" | "now" | "record">;

async function createGroup(name: string, { repositories, services, now, record }: GroupContext): Promise<Group> {
  requireNewName(name);
  const group = { id: services.newId(), name, createdAt: now };
  await repositories.groups.insert(group);
  await record("group.create", { resource: { type: "group", id: group.id, name } });
  return group;
}

/** Throws `not_found` for what names no group and could not name a new one either, as an id that nobody has. */
export function requireNewName(ref: string): void {
  if (!isName(ref)) throw new AppError("not_found", `no group \`${ref}\`, and it is no name for a new one`);
}

/** The id of a group that must exist, for filters. */
export async function requireGroupId(ref: string, repositories: Repositories): Promise<string> {
  const group = await repositories.groups.find(ref);
  if (group === undefined) throw unknownGroup(ref);
  return group.id;
}

/** For a group that is not there, and for one that the caller may not see. */
export function unknownGroup(ref: string): AppError {
  return new AppError("not_found", `group \`${ref}\` does not exist; check the name`);
}
