import { z } from "zod";
import { NameField, RefField, text } from "../fields.ts";

/** A number of characters that no honest instructions reach. */
const INSTRUCTIONS_MAX = 200_000;
const CODE_MAX = 262_144;
const TIMEOUT_MS_MAX = 600_000;

const Schema = z.record(z.string(), z.unknown());

const FileField = z
  .strictObject({
    path: z.string().min(1).max(240).describe("Path inside the skill's folder"),
    text: z.string().optional().describe("Content as text"),
    base64: z.base64().optional().describe("Content of a binary file"),
  })
  .refine(({ text: plain, base64 }) => (plain === undefined) !== (base64 === undefined), "give `text` or `base64`");

export type FileInput = z.output<typeof FileField>;

/** Fields that a skill is created and changed with. */
export const skillFields = {
  name: NameField.describe("Unique name; agents see the function as `skill__<name>`"),
  description: text(1024).min(1).describe("What it does and when to use it; models choose by it"),
  // What hides in instructions and code is for the scan to find and to show with its line, not for the parser to refuse.
  instructions: z.string().max(INSTRUCTIONS_MAX).describe("Body of SKILL.md"),
  code: z
    .string()
    .min(1)
    .max(CODE_MAX)
    .describe("ES module: `export default async function (input, { callTool, log }) { … }`"),
  inputSchema: Schema.describe("JSON Schema of the function's input"),
  outputSchema: Schema.describe("JSON Schema of the function's output"),
  servers: z.array(RefField).max(50).describe("Servers that it calls; only these can be called"),
  tools: z
    .array(z.string().min(1).max(512))
    .max(200)
    .describe("Tools that it calls: names or globs, or `server/tool`; without it all tools of `servers`"),
  files: z.array(FileField).max(500).describe("Further files; replaces all"),
  timeoutMs: z.int().min(1).max(TIMEOUT_MS_MAX).describe("Longest run in milliseconds, waiting for approvals apart"),
  license: text(500).min(1).describe("License, as in SKILL.md"),
  compatibility: text(500).min(1).describe("What it needs of its environment, as in SKILL.md"),
  metadata: z.record(z.string().max(100), text(1000)).describe("Further facts, as in SKILL.md"),
  allowedTools: text(2000).min(1).describe("`allowed-tools` of SKILL.md: names divided by spaces"),
};

/** What create and update have in common; `null` clears. */
export interface SkillInput {
  readonly description?: string | undefined;
  readonly instructions?: string | null | undefined;
  readonly code?: string | null | undefined;
  readonly inputSchema?: Readonly<Record<string, unknown>> | null | undefined;
  readonly outputSchema?: Readonly<Record<string, unknown>> | null | undefined;
  readonly servers?: readonly string[] | undefined;
  readonly tools?: readonly string[] | null | undefined;
  readonly files?: readonly FileInput[] | undefined;
  readonly timeoutMs?: number | null | undefined;
  readonly license?: string | null | undefined;
  readonly compatibility?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
  readonly allowedTools?: string | null | undefined;
}
