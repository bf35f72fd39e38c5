import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import { z } from "zod";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";

export const SEARCH_TOOLS = "search_tools";
export const CALL_TOOL = "call_tool";

/** More definitions than this crowd out what a model is asked to do. */
const LISTED_MAX = 60;
const FOUND_DEFAULT = 10;
const FOUND_MAX = 50;
const QUERY_CHARACTERS_MAX = 500;

const SearchInput = z.strictObject({
  query: z.string().min(1).max(QUERY_CHARACTERS_MAX),
  limit: z.int().min(1).max(FOUND_MAX).optional(),
});
const CallInput = z.strictObject({ name: z.string(), arguments: z.record(z.string(), z.unknown()).optional() });

const SEARCH_DEFINITION: Tool = {
  name: SEARCH_TOOLS,
  title: "Search tools",
  description: `Finds tools by words of their names and descriptions. There are too many to list: search first, then call what was found with \`${CALL_TOOL}\`. Returns name, description and input schema of the best matches.`,
  inputSchema: {
    type: "object",
    properties: {
      query: { type: "string", maxLength: QUERY_CHARACTERS_MAX, description: "Words that say what the tool should do" },
      limit: {
        type: "integer",
        minimum: 1,
        maximum: FOUND_MAX,
        description: `How many at most; ${FOUND_DEFAULT} if absent`,
      },
    },
    required: ["query"],
    additionalProperties: false,
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
};

const CALL_DEFINITION: Tool = {
  name: CALL_TOOL,
  title: "Call a tool",
  description: `Calls a tool that \`${SEARCH_TOOLS}\` found and returns its result. Allowed, held or refused as that tool is.`,
  inputSchema: {
    type: "object",
    properties: {
      name: { type: "string", description: `Name of the tool, as \`${SEARCH_TOOLS}\` gave it` },
      arguments: { type: "object", description: "Arguments for the tool, as its input schema asks" },
    },
    required: ["name"],
    additionalProperties: false,
  },
};

/** All tools, or the way to find and call them where they are too many; skills stay in sight while they are few. */
export function toListed(tools: readonly Tool[], skills: readonly Tool[]): Tool[] {
  if (tools.length + skills.length <= LISTED_MAX) return [...tools, ...skills];
  const meta = [SEARCH_DEFINITION, CALL_DEFINITION];
  return meta.length + skills.length <= LISTED_MAX ? [...meta, ...skills] : meta;
}

export interface Search {
  readonly query: string;
  readonly limit: number;
}

/** Throws `RpcRefusal` for arguments of another shape. */
export function parseSearch(args: unknown): Search {
  const parsed = SearchInput.safeParse(args);
  if (!parsed.success)
    throw wrongArguments(`give \`query\`, a text, and if you like \`limit\`, from 1 to ${FOUND_MAX}`);
  const { query, limit = FOUND_DEFAULT } = parsed.data;
  return { query, limit };
}

/** Which tool `call_tool` is to call. Throws `RpcRefusal` for arguments of another shape. */
export function parseCall(args: unknown): { readonly name: string; readonly args: Record<string, unknown> } {
  const parsed = CallInput.safeParse(args);
  if (!parsed.success) throw wrongArguments("give `name`, a text, and `arguments`, an object");
  return { name: parsed.data.name, args: parsed.data.arguments ?? {} };
}

/** The tools that fit best. */
export function searchTools(tools: readonly Tool[], { query, limit }: Search): CallToolResult {
  const words = query
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
  const found = tools
    .map((tool) => ({ tool, score: scoreOf(tool, words) }))
    .filter(({ score }) => score > 0)
    .toSorted((left, right) => right.score - left.score)
    .slice(0, limit)
    .map(({ tool: { name, title, description, inputSchema } }) => ({ name, title, description, inputSchema }));
  const structuredContent = { tools: found, total: tools.length };
  return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
}

/** A word in the name says more than one in the description; each word that is there at all says most. */
function scoreOf({ name, title, description }: Tool, words: readonly string[]): number {
  const [called, described] = [`${name} ${title ?? ""}`.toLowerCase(), (description ?? "").toLowerCase()];
  return words.reduce((score, word) => score + (called.includes(word) ? 3 : 0) + (described.includes(word) ? 1 : 0), 0);
}

function wrongArguments(hint: string): RpcRefusal {
  return new RpcRefusal({ status: 200, code: RPC_CODES.invalidParams, message: `the arguments do not fit; ${hint}` });
}
