import { analyzeText, type TextSurface } from "../guard/analyze-text.ts";
import { toLatinSkeleton } from "../guard/hidden-unicode.ts";
import { modelText, type ModelText } from "./model-text.ts";
import { isMembers } from "./server-entries.ts";
import { visible, type Weakness } from "./server-rules.ts";

/** A tool as its server shows it. Everything in it is the server's. */
export interface ShownTool {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly inputSchema?: unknown;
}

/** What a server shows of itself beside its tools. */
export interface ShownWords {
  readonly instructions?: string | undefined;
  /** As the server lists them. */
  readonly prompts: readonly { readonly name: string }[];
  readonly resources: readonly { readonly uri: string }[];
  /** List items that discovery could not read, and that the gateway may pass on. */
  readonly leftOut?: number | undefined;
}

const NO_WORDS: ShownWords = { prompts: [], resources: [] };

/** What the definitions of one server's tools, and its other words, try or leave open. At most one of each code. */
export function toolWeaknessesOf(tools: readonly ShownTool[], words: ShownWords = NO_WORDS): Weakness[] {
  const read = [...readAll(tools, words)];
  return [...poison(read), ...notAnalysable(read, words), ...magicParameters(tools), ...sinks(tools)];
}

/** What a text is of. */
type Subject = "server" | "tool" | "prompt" | "resource";

/** One thing that a model reads whole. */
interface ReadText extends ModelText {
  readonly label: string;
  readonly subject: Subject;
}

/**
 * What is an attack there. A tool acts, so that what it offers counts; the others instruct or tell of something, be it an attack to learn
 * about: only what no honest text says counts.
 */
const SURFACES: Readonly<Record<Subject, TextSurface>> = {
  server: "skill",
  tool: "tool",
  prompt: "skill",
  resource: "skill",
};

/** A server may fill what discovery takes of it with one text; as much is judged, and the rest is said. */
const SERVER_CHARACTERS_MAX = 4 * 1024 * 1024;

function* readAll(tools: readonly ShownTool[], { instructions, prompts, resources }: ShownWords): Generator<ReadText> {
  let left = SERVER_CHARACTERS_MAX;
  const read = (shown: unknown, label: string, subject: Subject): ReadText => {
    const found = modelText(shown, left);
    left -= found.text.length;
    return { ...found, label, subject };
  };
  yield read(instructions, "its instructions", "server");
  for (const tool of tools) yield read(tool, `tool \`${visible(tool.name)}\``, "tool");
  for (const prompt of prompts) yield read(prompt, `prompt \`${visible(prompt.name)}\``, "prompt");
  for (const resource of resources) yield read(resource, `resource \`${visible(resource.uri)}\``, "resource");
}

const POISON_TITLES: Readonly<Record<Subject, string>> = {
  server: "server whose instructions turn against its user",
  tool: "tool whose definition instructs the model",
  prompt: "prompt whose definition instructs the model",
  resource: "resource whose definition instructs the model",
};
const HIDDEN_TITLES: Readonly<Record<Subject, string>> = {
  server: "hidden characters in a server's instructions",
  tool: "hidden characters in a tool's definition",
  prompt: "hidden characters in a prompt's definition",
  resource: "hidden characters in a resource's definition",
};

function poison(read: readonly ReadText[]): Weakness[] {
  const judged = read.flatMap(({ label, text, subject }) => {
    const { isSuspicious, score, matches } = analyzeText(text, SURFACES[subject]);
    const [worst] = matches.toSorted((left, right) => right.weight - left.weight);
    return isSuspicious && worst !== undefined ? [{ label, subject, score, worst }] : [];
  });
  const groups = Map.groupBy(judged, ({ worst }) => worst.ruleId.startsWith("unicode."));
  return [...groups].flatMap(([isHidden, [first]]): Weakness[] =>
    first === undefined
      ? []
      : [
          {
            code: isHidden ? "POISON-UNICODE" : "POISON-DESC",
            title: isHidden ? HIDDEN_TITLES[first.subject] : POISON_TITLES[first.subject],
            severity: first.score >= 0.85 ? "critical" : "high",
            confidence: first.score,
            evidence: `${first.label}: ${first.worst.title} (${first.worst.ruleId}): ${first.worst.excerpt}`,
            remediation: "quarantine the server until a person has read what it shows, and ask who changed it",
          },
        ],
  );
}

function notAnalysable(read: readonly ReadText[], { leftOut = 0 }: ShownWords): Weakness[] {
  const unread = read.filter(({ isWhole }) => !isWhole).map(({ label }) => label);
  if (unread.length + leftOut === 0) return [];
  const first = unread[0] === undefined ? "" : ` (first ${unread[0]})`;
  return [
    {
      code: "NOT-ANALYSABLE",
      title: "definitions that cannot be judged",
      severity: "medium",
      confidence: 1,
      evidence: `${unread.length} definitions are too long to be read whole${first}; ${leftOut} list items are malformed, too deep or listed twice`,
      remediation: "read them by hand, and deny the tools by policy until then",
    },
  ];
}

/** Parameters that a model fills from what it knows, and that no honest tool needs. */
const MAGIC =
  /^(?:side_?notes?|(?:chat|conversation|message|tool_call)_?histor(?:y|ies)|previous_(?:messages|conversation)|system_?prompt|chain_of_thought|reasoning_trace|tools?_list)$/i;

function magicParameters(tools: readonly ShownTool[]): Weakness[] {
  const found = tools.flatMap((tool) => namesOf(tool, (name) => MAGIC.test(name)));
  if (found.length === 0) return [];
  return [
    {
      code: "MAGIC-PARAM",
      title: "tool that asks for the conversation",
      severity: "medium",
      confidence: 0.8,
      evidence: `${listed(found)}: a model fills such a parameter with what it knows of its user and its instructions`,
      remediation: "ask the author what it is for; deny the tool by policy until then",
    },
  ];
}

/** Parameters that are run as they are. A path or a query may be anything honest; these are code. */
const SINK =
  /^(?:cmd|command|command_?line|shell(?:_?command)?|bash|script|code|sql(?:_?query|_?statement)?|eval|expression)$/i;

function sinks(tools: readonly ShownTool[]): Weakness[] {
  const found = tools.flatMap((tool) => namesOf(tool, (name, schema) => SINK.test(name) && isFreeText(schema)));
  if (found.length === 0) return [];
  return [
    {
      code: "PARAM-SINK",
      title: "tool that runs what it is given",
      severity: "low",
      confidence: 0.6,
      evidence: `${listed(found)}: any text is taken, and the name says that it is run`,
      remediation: "require approval for it by policy, or limit the argument with a condition",
    },
  ];
}

function isFreeText(schema: unknown): boolean {
  if (!isMembers(schema)) return false;
  const { type, enum: choices, pattern, const: only } = schema;
  return (
    (type === "string" || type === undefined) && choices === undefined && pattern === undefined && only === undefined
  );
}

function namesOf({ name, inputSchema }: ShownTool, isMeant: (name: string, schema: unknown) => boolean): string[] {
  const properties = isMembers(inputSchema) ? inputSchema["properties"] : undefined;
  if (!isMembers(properties)) return [];
  return Object.entries(properties).flatMap(([parameter, schema]) =>
    isMeant(parameter, schema) ? [`${visible(name)}(${visible(parameter)})`] : [],
  );
}

function listed(found: readonly string[]): string {
  const shown = found
    .slice(0, 5)
    .map((name) => `\`${name}\``)
    .join(", ");
  return found.length > 5 ? `${shown} and ${String(found.length - 5)} more` : shown;
}

/** The tools of one server that an agent has. */
export interface ToolSource {
  readonly server: string;
  readonly tools: readonly ShownTool[];
}

/** A tool of one server that stands in for one of another: a name that looks the same, or a description that speaks of it. */
export interface ToolShadow {
  readonly servers: readonly [shadowing: string, shadowed: string];
  readonly evidence: string;
}

/** Among the servers that one agent has. Equal names are honest (many servers have a `search`); equal looks are not. */
export function toolShadowsOf(sources: readonly ToolSource[]): ToolShadow[] {
  const owners = new Map<string, { readonly server: string; readonly name: string }[]>();
  for (const { server, tools } of sources) {
    for (const { name } of tools) {
      const key = skeletonOf(name);
      owners.set(key, [...(owners.get(key) ?? []), { server, name }]);
    }
  }
  return [...owners.values()].flatMap(lookAlikes).concat(sources.flatMap((source) => mentions(source, owners)));
}

function lookAlikes(group: readonly { readonly server: string; readonly name: string }[]): ToolShadow[] {
  const [first] = group;
  return group.flatMap((other): ToolShadow[] => {
    if (first === undefined || other.server === first.server || other.name === first.name) return [];
    const evidence = `tool \`${visible(other.name)}\` of \`${visible(other.server)}\` looks like \`${visible(first.name)}\` of \`${visible(first.server)}\``;
    return [{ servers: [other.server, first.server], evidence }];
  });
}

/** Only names that are no plain word: `read_file` in another server's description is meant, `search` is not. */
function mentions(
  { server, tools }: ToolSource,
  owners: ReadonlyMap<string, readonly { readonly server: string; readonly name: string }[]>,
): ToolShadow[] {
  return tools.flatMap((tool) => {
    const words = new Set((tool.description ?? "").slice(0, 100_000).match(/[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)+/g));
    return [...words].flatMap((word): ToolShadow[] => {
      const named = owners.get(skeletonOf(word)) ?? [];
      const isOwn = named.some((owner) => owner.server === server);
      const other = isOwn ? undefined : named.find((owner) => owner.name === word);
      if (other === undefined) return [];
      const evidence = `the description of tool \`${visible(tool.name)}\` of \`${visible(server)}\` speaks of \`${visible(word)}\`, a tool of \`${visible(other.server)}\``;
      return [{ servers: [server, other.server], evidence }];
    });
  });
}

function skeletonOf(name: string): string {
  return toLatinSkeleton(name.normalize("NFKC").toLowerCase()).replaceAll(/[-_\s.]/g, "");
}
