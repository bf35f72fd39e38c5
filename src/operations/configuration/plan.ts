import { isDeepStrictEqual } from "node:util";
import { AppError } from "../../lib/errors.ts";
import type { Page, PageRequest } from "../../lib/paging.ts";
import { createAgent } from "../agents/create-agent.ts";
import { deleteAgent } from "../agents/delete-agent.ts";
import { updateAgent } from "../agents/update-agent.ts";
import type { Operation } from "../define-operation.ts";
import { updateOrganization } from "../organization/update-organization.ts";
import { createPolicy } from "../policies/create-policy.ts";
import { deletePolicy } from "../policies/delete-policy.ts";
import { updatePolicy } from "../policies/update-policy.ts";
import { createMcpServer } from "../servers/create-mcp-server.ts";
import { deleteMcpServer } from "../servers/delete-mcp-server.ts";
import { updateMcpServer } from "../servers/update-mcp-server.ts";
import { withInitial, withoutCleared } from "./cleared-fields.ts";
import type { Configuration, Entry } from "./configuration-input.ts";
import {
  diffAgent,
  diffNew,
  diffPolicy,
  diffServer,
  isRuleField,
  ruleOf,
  type FieldDiff,
  type PlanContext,
} from "./current-fields.ts";

/** One change of one object, and the call of the operation that makes it. */
export interface Step {
  readonly kind: "settings" | "server" | "agent" | "policy";
  readonly name: string;
  readonly action: "create" | "update" | "delete";
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  readonly diff: readonly FieldDiff[];
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly unchanged: number;
}

interface Stored {
  readonly id: string;
  readonly name: string;
  readonly version: number;
}

interface Kind<Object extends Stored> {
  readonly kind: Exclude<Step["kind"], "settings">;
  readonly field: "servers" | "agents" | "policies";
  readonly create: Operation;
  readonly update: Operation;
  readonly remove: Operation;
  find(name: string, context: PlanContext): Promise<Object | undefined>;
  list(page: PageRequest, context: PlanContext): Promise<Page<Object>>;
  diff(entry: Entry, object: Object, context: PlanContext): Promise<readonly FieldDiff[]>;
}

const PAGE_ROWS = 200;

function kindOf<Object extends Stored>(kind: Kind<Object>) {
  return {
    field: kind.field,
    upserts: async (entries: readonly Entry[], context: PlanContext): Promise<readonly (Step | undefined)[]> => {
      const steps: (Step | undefined)[] = [];
      for (const entry of entries) steps.push(...(await planEntry(kind, entry, context)));
      return steps;
    },
    deletions: async (entries: readonly Entry[], context: PlanContext): Promise<readonly Step[]> => {
      const kept = new Set(entries.map(({ name }) => name));
      const gone: Step[] = [];
      let after: string | undefined;
      do {
        const page = await kind.list({ limit: PAGE_ROWS, after }, context);
        for (const { name } of page.items) if (!kept.has(name)) gone.push(toDeletion(kind, name));
        after = page.next;
      } while (after !== undefined);
      return gone;
    },
  };
}

/** In the order of creation: agents name servers, policies name both. */
const KINDS = [
  kindOf({
    kind: "server",
    field: "servers",
    create: createMcpServer,
    update: updateMcpServer,
    remove: deleteMcpServer,
    find: (name, { repositories }) => repositories.servers.find(name),
    list: (page, { repositories }) => repositories.servers.list({}, page),
    diff: diffServer,
  }),
  kindOf({
    kind: "agent",
    field: "agents",
    create: createAgent,
    update: updateAgent,
    remove: deleteAgent,
    find: (name, { repositories }) => repositories.agents.find(name),
    list: (page, { repositories }) => repositories.agents.list({}, page),
    diff: diffAgent,
  }),
  kindOf({
    kind: "policy",
    field: "policies",
    create: createPolicy,
    update: updatePolicy,
    remove: deletePolicy,
    find: (name, { repositories }) => repositories.policies.find(name),
    list: (page, { repositories }) => repositories.policies.list({}, page),
    diff: diffPolicy,
  }),
] as const;

/**
 * What it takes to make the installation look like the configuration. A field that is not named stays; with `isPruning`, objects of
 * a kind that is named and that the configuration does not have are deleted. Updates hold to the version that was looked at.
 */
export async function planConfiguration(
  configuration: Configuration,
  { isPruning }: { readonly isPruning: boolean },
  context: PlanContext,
): Promise<Plan> {
  const found: (Step | undefined)[] = await planSettings(configuration, context);
  for (const { field, upserts } of KINDS) found.push(...(await upserts(configuration[field] ?? [], context)));
  const steps = found.filter((step) => step !== undefined);
  const unchanged = found.length - steps.length;
  if (isPruning) {
    for (const { field, deletions } of KINDS.toReversed()) {
      const entries = configuration[field];
      // A file without a kind says nothing about it.
      if (entries !== undefined) steps.push(...(await deletions(entries, context)));
    }
  }
  return { steps, unchanged };
}

async function planSettings({ settings }: Configuration, { repositories }: PlanContext): Promise<(Step | undefined)[]> {
  if (settings === undefined) return [];
  if ("notifications" in settings) throw withSecret();
  const { id, name, version, settings: current } = await repositories.organization.get();
  const before: Readonly<Record<string, unknown>> = { ...current, name };
  const diff = Object.entries(settings)
    .filter(([field, after]) => !isAlready(before[field], after))
    .map(([field, after]) => ({ field, before: before[field], after }));
  if (diff.length === 0) return [undefined];
  const input = { ...Object.fromEntries(diff.map(({ field, after }) => [field, after])), expectedVersion: version };
  return [{ kind: "settings", name: id, action: "update", operation: updateOrganization, input, diff }];
}

/** Its secret could neither be compared nor shown. */
function withSecret(): AppError {
  const message =
    "`settings.notifications` holds a secret and does not stand in a configuration; use update_organization";
  return new AppError("invalid_input", message, { details: { field: "settings.notifications" } });
}

/** A setting with members may be given in part. */
function isAlready(before: unknown, after: unknown): boolean {
  if (typeof before !== "object" || before === null || typeof after !== "object" || after === null)
    return isDeepStrictEqual(before, after);
  return isDeepStrictEqual(before, { ...before, ...after });
}

async function planEntry<Object extends Stored>(
  kind: Kind<Object>,
  entry: Entry,
  context: PlanContext,
): Promise<readonly (Step | undefined)[]> {
  refuseAttached(kind.kind, entry);
  const stored = await kind.find(entry.name, context);
  if (stored === undefined) return planCreation(kind, withoutCleared(entry));
  const diff = await kind.diff(withInitial(entry), stored, context);
  if (diff.length === 0) return [undefined];
  const changed = Object.fromEntries(diff.map(({ field }) => [field, entry[field]]));
  const input = { ...withCompanions(entry, changed), id: stored.id, expectedVersion: stored.version };
  return [{ kind: kind.kind, name: entry.name, action: "update", operation: kind.update, input, diff }];
}

function planCreation<Object extends Stored>({ kind, create, update }: Kind<Object>, entry: Entry): readonly Step[] {
  const { status, ...rest } = entry;
  const isAgent = kind === "agent";
  const creation = {
    kind,
    name: entry.name,
    action: "create",
    operation: create,
    input: isAgent ? rest : entry,
    diff: diffNew(isAgent ? rest : entry),
  } as const;
  if (!isAgent || status === undefined || status === "active") return [creation];
  // An agent is created active.
  const input = { id: entry.name, status };
  return [
    creation,
    { kind, name: entry.name, action: "update", operation: update, input, diff: [{ field: "status", after: status }] },
  ];
}

/** What a new address needs in the same call: stored secrets do not travel to it. */
const ADDRESS_COMPANIONS = ["credential", "headers"] as const;

/** A rule goes as a whole, and a new address together with the secrets for it. */
function withCompanions(entry: Entry, changed: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const isNewAddress = "url" in changed || "transport" in changed;
  if (isNewAddress) {
    const named = ADDRESS_COMPANIONS.filter((field) => entry[field] !== undefined);
    return { ...changed, ...Object.fromEntries(named.map((field) => [field, entry[field]])) };
  }
  const fields = Object.entries(changed);
  const plain = fields.filter(([field]) => !isRuleField(field));
  return plain.length === fields.length ? changed : { ...Object.fromEntries(plain), ...ruleOf(entry) };
}

function toDeletion<Object extends Stored>({ kind, remove }: Kind<Object>, name: string): Step {
  return { kind, name, action: "delete", operation: remove, input: { id: name, confirm: true }, diff: [] };
}

/** Two ways of saying what a policy is about would contradict each other. */
function refuseAttached(kind: string, entry: Entry): void {
  if (kind === "policy" || entry["policies"] === undefined) return;
  const message = `${kind} \`${entry.name}\`: \`policies\` does not stand in a configuration; name the ${kind} in the policy`;
  throw new AppError("invalid_input", message, { details: { field: "policies" } });
}
