import type { Client } from "@modelcontextprotocol/client";
import { z } from "zod";
import type { ToolDefinition } from "../../domain/server.ts";
import { TOOL_NAME_CHARACTERS_MAX } from "../../domain/tool-definition.ts";
import type { Contact } from "./contact.ts";
import type { ProbeLimits, PromptDefinition, ResourceDefinition } from "./target.ts";

export interface ListOptions {
  readonly client: Client;
  readonly contact: Contact;
  readonly limits: ProbeLimits;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface Lists {
  readonly tools: readonly ToolDefinition[];
  readonly resources: readonly ResourceDefinition[];
  readonly prompts: readonly PromptDefinition[];
  /** Items left out because they are malformed, nested too deeply or listed twice. */
  readonly leftOut: number;
}

// Loose: what we do not know is kept, because the digest of a definition must cover all of it.
const Tool = z.looseObject({
  name: z.string().min(1).max(TOOL_NAME_CHARACTERS_MAX),
  title: z.string().optional(),
  description: z.string().optional(),
  annotations: z.record(z.string(), z.unknown()).optional(),
});
const Resource = z.looseObject({ uri: z.string().min(1).max(8192) });
const Prompt = z.looseObject({ name: z.string().min(1).max(1024) });

interface ListKind<T> {
  readonly capability: "tools" | "resources" | "prompts";
  readonly item: z.ZodType<T>;
  readonly keyOf: (item: T) => string;
}

/** Every page of the three lists that the server declares. Throws when a list fails or passes a bound. */
export async function listAll(options: ListOptions, only?: "tools"): Promise<Lists> {
  const tools = await listKind<ToolDefinition>(
    { capability: "tools", item: Tool, keyOf: (tool) => tool.name },
    options,
  );
  if (only === "tools") return { tools: tools.items, resources: [], prompts: [], leftOut: tools.leftOut };
  const resources = await listKind<ResourceDefinition>(
    { capability: "resources", item: Resource, keyOf: (resource) => resource.uri },
    options,
  );
  const prompts = await listKind<PromptDefinition>(
    { capability: "prompts", item: Prompt, keyOf: (prompt) => prompt.name },
    options,
  );
  const leftOut = tools.leftOut + resources.leftOut + prompts.leftOut;
  return { tools: tools.items, resources: resources.items, prompts: prompts.items, leftOut };
}

async function listKind<T>(kind: ListKind<T>, options: ListOptions): Promise<{ items: T[]; leftOut: number }> {
  const { client, contact, limits } = options;
  if (client.getServerCapabilities()?.[kind.capability] === undefined) return { items: [], leftOut: 0 };
  const found = new Map<string, T>();
  const cursors = new Set<string>();
  let listed = 0;
  let cursor: string | undefined;
  for (let page = 0; page < limits.pagesMax; page += 1) {
    const answer = await requestPage(kind.capability, cursor, options);
    listed += answer.items.length;
    if (listed > limits.itemsMax) throw contact.fail(`lists more than ${limits.itemsMax} ${kind.capability}`);
    for (const item of answer.items) keep(item, kind, { found, depthMax: limits.depthMax });
    cursor = answer.nextCursor;
    // An empty one names no page.
    if (cursor === undefined || cursor === "") return { items: [...found.values()], leftOut: listed - found.size };
    if (cursors.has(cursor)) throw contact.fail(`repeats a cursor in its list of ${kind.capability}`);
    cursors.add(cursor);
  }
  throw contact.fail(`lists ${kind.capability} on more than ${limits.pagesMax} pages`);
}

/** The first of two items with one name counts, as it does for a client that walks the list. */
function keep<T>(item: unknown, kind: ListKind<T>, into: { found: Map<string, T>; depthMax: number }): void {
  if (isDeeperThan(item, into.depthMax)) return;
  const parsed = kind.item.safeParse(item);
  if (!parsed.success) return;
  const key = kind.keyOf(parsed.data);
  if (!into.found.has(key)) into.found.set(key, parsed.data);
}

async function requestPage(
  capability: "tools" | "resources" | "prompts",
  cursor: string | undefined,
  { client, contact, signal, timeoutMs }: ListOptions,
): Promise<{ items: unknown[]; nextCursor: string | undefined }> {
  const page = z.looseObject({ [capability]: z.array(z.unknown()), nextCursor: z.string().max(16_384).optional() });
  const params = cursor === undefined ? {} : { cursor };
  const answer = await client.request({ method: `${capability}/list`, params }, z.looseObject({}), {
    signal,
    timeout: timeoutMs,
  });
  const parsed = page.safeParse(answer);
  if (!parsed.success) throw contact.fail(`answers \`${capability}/list\` with something that is no list`);
  const items: unknown = parsed.data[capability];
  const { nextCursor } = parsed.data;
  return {
    items: Array.isArray(items) ? items : [],
    nextCursor: typeof nextCursor === "string" ? nextCursor : undefined,
  };
}

/** Walks with an explicit stack: the value's depth is the upstream's choice, our call stack is not. */
function isDeeperThan(value: unknown, depthMax: number): boolean {
  const stack: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (typeof next.value !== "object" || next.value === null) continue;
    if (next.depth >= depthMax) return true;
    for (const member of Object.values(next.value)) stack.push({ value: member, depth: next.depth + 1 });
  }
  return false;
}
