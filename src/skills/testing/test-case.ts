import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { decodeText, type SkillFile } from "../package/skill-files.ts";

const RecordedCall = z.strictObject({
  server: z.string(),
  tool: z.string(),
  /** Without it, any arguments match. */
  arguments: z.record(z.string(), z.unknown()).optional(),
  result: z.unknown().optional(),
  error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  /** The first attempt waits for an approval; the run is then continued as after one. */
  needsApproval: z.boolean().optional(),
});

const TestCase = z.strictObject({
  input: z.unknown().optional(),
  calls: z.array(RecordedCall).default([]),
  output: z.unknown().optional(),
  error: z.strictObject({ code: z.string() }).optional(),
});

export type RecordedToolCall = z.infer<typeof RecordedCall>;

/** One case of a skill's own tests: `tests/<name>.json` in its folder. */
export interface SkillTestCase extends z.infer<typeof TestCase> {
  readonly name: string;
}

/** The cases among a skill's files. Throws `invalid_input` that names the file and the field. */
export function readTestCases(files: readonly SkillFile[]): readonly SkillTestCase[] {
  return files.flatMap(({ path, bytes }) => {
    const name = /^tests\/(.+)\.json$/.exec(path)?.[1];
    return name === undefined ? [] : [{ name, ...parseCase(path, bytes) }];
  });
}

function parseCase(path: string, bytes: Uint8Array): z.infer<typeof TestCase> {
  const parsed = TestCase.safeParse(parseJson(path, bytes));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AppError(
    "invalid_input",
    `\`${path}\`: \`${issue?.path.join(".") ?? ""}\` ${issue?.message ?? "is wrong"}`,
  );
}

function parseJson(path: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeText(bytes) ?? "");
  } catch (error) {
    throw new AppError("invalid_input", `\`${path}\` is not JSON`, { cause: error });
  }
}
